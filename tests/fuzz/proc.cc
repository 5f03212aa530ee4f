// The files of /proc, /etc and /lib/modules, and what rtnetlink says, on a machine with a network
// card, a disk with partitions and dm, and cards on VFIO. The input is files that begin with a line
// "== PATH", links "=> PATH TARGET" (scratch.h), and behind a line "=n" messages of rtnetlink, one
// a line: "a FAMILY SCOPE INTERFACE", "r FAMILY LENGTH TABLE PROTOCOL TYPE FLAGS INTERFACE ..."
// (two or more interfaces make a route of several hops), "x HEX".
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "doctor/doctor.h"
#include "host/accounts.h"
#include "hostile_sysfs.h"
#include "oracle.h"
#include "record/records.h"
#include "scratch.h"
#include "users/guards.h"
#include "users/refusal.h"

namespace {

using namespace anybind;
using fuzz::require;
using fuzz::take_number;
using fuzz::take_until;

constexpr const char* kTree = R"(D bus=pci
D bus/pci/devices=0000:00:03.0 0000:00:04.0 0000:00:05.0
D bus/pci/drivers=virtio vfio-pci nvme
L bus/pci/devices/0000:00:03.0=../../../devices/pci0000:00/0000:00:03.0
L bus/pci/devices/0000:00:04.0=../../../devices/pci0000:00/0000:00:04.0
L bus/pci/devices/0000:00:05.0=../../../devices/pci0000:00/0000:00:05.0
R */0000:00:03.0/uevent=DRIVER=e1000e\nPCI_CLASS=20000\nPCI_ID=8086:10D3\nPCI_SUBSYS_ID=1:2\n
R */0000:00:04.0/uevent=DRIVER=nvme\nPCI_CLASS=10802\nPCI_ID=144D:A80A\nPCI_SUBSYS_ID=1:2\n
R */0000:00:05.0/uevent=DRIVER=vfio-pci\nPCI_CLASS=30000\nPCI_ID=10DE:1C03\nPCI_SUBSYS_ID=1:2\n
R */driver_override=(null)\n
L */0000:00:03.0/driver=../../../bus/pci/drivers/e1000e
L */0000:00:04.0/driver=../../../bus/pci/drivers/nvme
L */0000:00:05.0/driver=../../../bus/pci/drivers/vfio-pci
L */0000:00:05.0/iommu_group=../../../kernel/iommu_groups/5
L */0000:00:03.0/subsystem=../../../bus/pci
L */0000:00:04.0/subsystem=../../../bus/pci
L */0000:00:05.0/subsystem=../../../bus/pci
D kernel/iommu_groups=5
D kernel/iommu_groups/5/devices=0000:00:05.0
L kernel/iommu_groups/5/devices/0000:00:05.0=../../../../devices/pci0000:00/0000:00:05.0
D class=net block vfio
D class/net=eth0
L class/net/eth0=../../devices/pci0000:00/0000:00:03.0/net/eth0
D class/net/eth0=flags ifindex
R class/net/eth0/flags=0x1003\n
R class/net/eth0/ifindex=2\n
D class/block=nvme0n1 nvme0n1p1 dm-0
L class/block/nvme0n1=../../devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1
L class/block/nvme0n1p1=../../devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1/nvme0n1p1
L class/block/dm-0=../../devices/virtual/block/dm-0
R */nvme0n1/dev=259:0\n
R */nvme0n1p1/dev=259:1\n
R */nvme0n1p1/partition=1\n
R */dm-0/dev=253:0\n
R */dm-0/dm/name=root\n
D class/block/dm-0/slaves=nvme0n1p1
D class/block/nvme0n1/slaves=
D class/block/nvme0n1=nvme0n1p1 dev
D */nvme0n1p1/holders=dm-0
D */nvme0n1/holders=
D dev/char=1:3
L dev/char/1:3=../../devices/pci0000:00/0000:00:03.0/drm/card0
R class/vfio/5/dev=1:3\n
R bus/pci/drivers_autoprobe=1\n
)";

template <class T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string message(unsigned short type, const std::string& rest) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<unsigned>(sizeof header + rest.size());
  header.nlmsg_type = type;
  std::string out = bytes_of(header) + rest;
  out.resize(NLMSG_ALIGN(out.size()));
  return out;
}

std::string attribute(unsigned short type, const std::string& value) {
  rtattr header{};
  header.rta_len = static_cast<unsigned short>(sizeof header + value.size());
  header.rta_type = type;
  return bytes_of(header) + value;
}

std::string route(std::string_view line) {
  rtmsg out{};
  for (unsigned char* field :
       {&out.rtm_family, &out.rtm_dst_len, &out.rtm_table, &out.rtm_protocol, &out.rtm_type}) {
    *field = static_cast<unsigned char>(take_number(line, 255));
  }
  out.rtm_flags = static_cast<unsigned>(take_number(line, UINT32_MAX));
  std::string hops;
  const auto first = static_cast<unsigned>(take_number(line, UINT32_MAX));
  while (line.size() > 1) {
    rtnexthop hop{};
    hop.rtnh_len = sizeof hop;
    hop.rtnh_ifindex = static_cast<int>(take_number(line, INT32_MAX));
    hops += bytes_of(hop);
  }
  return message(RTM_NEWROUTE, bytes_of(out) + (hops.empty() ? attribute(RTA_OIF, bytes_of(first))
                                                             : attribute(RTA_MULTIPATH, hops)));
}

std::string netlink(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    if (line.starts_with('r')) out += route(line);
    if (line.starts_with('a')) {
      ifaddrmsg address{};
      address.ifa_family = static_cast<unsigned char>(take_number(line, 255));
      address.ifa_scope = static_cast<unsigned char>(take_number(line, 255));
      address.ifa_index = static_cast<unsigned>(take_number(line, UINT32_MAX));
      out += message(RTM_NEWADDR, bytes_of(address));
    }
    if (!line.starts_with("x ")) continue;
    for (line.remove_prefix(2); line.size() >= 2; line.remove_prefix(2)) {
      out += static_cast<char>(parse_hex(line.substr(0, 2), 0xFF).value_or(0));
    }
  }
  return out;
}

void look_at_accounts(const Proc& files) {
  const Accounts accounts(files);
  for (const std::uint32_t id : {0U, 1000U, UINT32_MAX}) {
    require(!accounts.user(id).empty() && !accounts.owner(id, id).empty(), "nobody");
  }
  for (const char* text : {"root", "alice:kvm", "1000:36", ":", "0:", "4294967295"}) {
    const auto owner = accounts.parse(text);
    if (owner) continue;
    fuzz::require_printable(owner.error().message(), "a message that is not printable");
  }
}

void look_at_guards(Sysfs& sysfs, const Proc& proc) {
  std::vector<DeviceId> devices;
  for (const char* name : {"0000:00:03.0", "0000:00:04.0", "0000:00:05.0"}) {
    devices.push_back({.bus = BusName::literal("pci"), .name = DeviceName::literal(name)});
  }
  const InUse in_use = find_blockers(sysfs, proc, devices);
  for (const Blocker& blocker : in_use.blockers) {
    require(std::ranges::find(devices, blocker.device) != devices.end(), "another device");
    require(std::ranges::find(guard_names(), blocker.name) != guard_names().end(), "no such guard",
            blocker.name);
    require(!blocker.who.empty(), "nobody uses it", blocker.name);
  }
  std::vector<Asked> asked;
  for (const DeviceId& device : devices) asked.push_back({.device = device});
  Host host(sysfs);
  host.proc = proc;
  const auto refused = MachineUsers(host, {}).refuse(asked);
  require(refused.has_value() == in_use.blockers.empty(), "seen, and not refused");
  if (refused) return;
  fuzz::require_printable(refused.error().message(), "a message that is not printable");
  for (const std::string& line : plain(refused.error().details)) {
    fuzz::require_printable(line, "a detail that is not printable");
  }
}

void look_at_doctor(Sysfs& sysfs, const std::string& root) {
  const auto modules = open_modules({.directory = root + "/lib/modules/6.1",
                                     .config = {root + "/etc/modprobe.d"},
                                     .proc = root + "/proc",
                                     .programs = {}});
  Host host(sysfs);
  host.files = Proc(root);
  host.run = Proc(root + "/run");
  host.modules = modules.get();
  host.release = "6.1";
  host.is_root = true;
  host.memlock = 65536;
  for (const Finding& finding : examine(host, {})) {
    require(!finding.what.empty(), "a finding that says nothing", finding.check);
    require(finding.verdict != Verdict::kProblem || !finding.fix.empty(), "no fix", finding.what);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::Scratch scratch;
  const std::string_view text = fuzz::as_text(data, size);
  const auto end = std::min(text.find("\n=n\n"), text.size());
  scratch.clear();
  scratch.put_all(text.substr(0, end));
  if (end < text.size()) scratch.put("proc/net/rtnetlink", netlink(text.substr(end + 4)));
  fuzz::HostileTree tree(kTree);
  fuzz::HostileSysfs sysfs(tree);
  const Proc proc(scratch.path() + "/proc");
  look_at_accounts(Proc(scratch.path()));
  look_at_guards(sysfs, proc);
  look_at_doctor(sysfs, scratch.path());
  (void)boot_id(proc);
  return 0;
}
