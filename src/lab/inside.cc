#include "lab/inside.h"

#include "host/inside_lab.h"

namespace anybind::lab {

bool is_inside() {
  return is_inside_lab();
}

}  // namespace anybind::lab
