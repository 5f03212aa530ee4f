/* Lists the devices of a subsystem through libudev: the system name and the driver of each. */
#include <libudev.h>
#include <stdio.h>

int main(int argc, char** argv) {
  struct udev* udev = udev_new();
  struct udev_enumerate* all = udev_enumerate_new(udev);
  udev_enumerate_add_match_subsystem(all, argc > 1 ? argv[1] : "pci");
  if (udev_enumerate_scan_devices(all) < 0) return 1;
  struct udev_list_entry* entry;
  udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(all)) {
    struct udev_device* device = udev_device_new_from_syspath(udev, udev_list_entry_get_name(entry));
    if (device == NULL) return 1;
    const char* driver = udev_device_get_driver(device);
    const char* vendor = udev_device_get_sysattr_value(device, "vendor");
    printf("%s %s %s\n", udev_device_get_sysname(device), driver ? driver : "-", vendor ? vendor : "-");
    udev_device_unref(device);
  }
  udev_enumerate_unref(all);
  udev_unref(udev);
  return 0;
}
