#include "lab/inside.h"

#include <unistd.h>

namespace anybind::lab {

bool is_inside() {
  return ::access(kControl, F_OK) == 0;
}

}  // namespace anybind::lab
