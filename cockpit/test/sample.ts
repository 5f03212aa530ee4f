import type { Device } from "../src/forms";

export function device(address: string, more: Partial<Device> = {}): Device {
  return {
    address,
    bus: "pci",
    syspath: `/sys/devices/pci0000:00/${address}`,
    vendor: "8086",
    device: "1521",
    class: "020000",
    class_name: "ethernet",
    name: "Intel Corporation I350",
    driver: "igb",
    driver_override: null,
    iommu_group: 1,
    busy: false,
    users: [],
    numa_node: null,
    physical_function: null,
    sriov: null,
    in_use: [],
    ...more,
  };
}
