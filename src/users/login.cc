// Over which address is the administrator logged in? Whoever takes that interface down is out.
//
// What ssh says in the environment is the best there is, but sudo drops it. So the processes above
// this one are looked at, too: that of sshd has the connection open. Behind tmux or screen neither
// leads anywhere, and then every connection to ssh's port counts.
#include "users/login.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "users/guard_target.h"

namespace anybind::guards {
namespace {

constexpr std::size_t kMostAbove = 64;  // processes above this one
constexpr std::uint64_t kSsh = 22;
constexpr std::string_view kEstablished = "01";  // linux include/net/tcp_states.h

/// One that only leads to this machine itself.
bool is_loopback(std::string_view bytes) {
  if (bytes.size() == 4) return bytes.front() == 127;
  return bytes.size() == 16 && bytes.back() == 1 && bytes.find_first_not_of('\0') == 15;
}

/// IPv4 in the clothes of IPv6 is IPv4.
std::string plain_address(const std::string& bytes) {
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  return bytes.starts_with(kMapped) ? bytes.substr(kMapped.size()) : bytes;
}

/// "0100007F" or 32 digits: words of 32 bits, each as this machine lays them out
/// (linux net/ipv4/tcp_ipv4.c:get_tcp4_sock).
std::string bytes_in_table(std::string_view digits) {
  std::string out;
  for (; digits.size() >= 8; digits.remove_prefix(8)) {
    const auto word = parse_hex(digits.substr(0, 8), UINT32_MAX);
    if (!word) return "";
    const auto value = static_cast<std::uint32_t>(*word);
    std::array<char, sizeof value> bytes{};
    std::memcpy(bytes.data(), &value, sizeof value);
    out.append(bytes.data(), bytes.size());
  }
  return plain_address(out);
}

struct Connection {
  std::string address;
  std::uint64_t port = 0;
  std::string inode;
};

std::vector<Connection> read_connections(const Proc& proc) {
  std::vector<Connection> out;
  for (const char* file : {"net/tcp", "net/tcp6"}) {
    each_line(proc.read(file).value_or(""), [&](const std::vector<std::string_view>& words) {
      if (words.size() < 10 || words[3] != kEstablished) return;
      const auto colon = words[1].find(':');
      if (colon == std::string_view::npos) return;
      Connection found{.address = bytes_in_table(words[1].substr(0, colon)),
                       .port = parse_hex(words[1].substr(colon + 1), UINT16_MAX).value_or(0),
                       .inode = std::string(words[9])};
      if (!found.address.empty() && !is_loopback(found.address)) out.push_back(std::move(found));
    });
  }
  return out;
}

std::string parent_of(const Proc& proc, const std::string& pid) {
  std::string out;
  each_line(proc.read(pid + "/status").value_or(""),
            [&](const std::vector<std::string_view>& words) {
              if (words.size() == 2 && words[0] == "PPid:" && out.empty()) out = words[1];
            });
  return out == "0" ? "" : out;
}

/// The inodes of the sockets that the processes above this one have open.
std::set<std::string> sockets_above(const Proc& proc) {
  constexpr std::string_view kSocket = "socket:[";
  std::set<std::string> out;
  std::string pid = parent_of(proc, "self");
  for (std::size_t i = 0; i < kMostAbove && !pid.empty(); ++i, pid = parent_of(proc, pid)) {
    for (const std::string& file : proc.list(pid + "/fd").value_or(std::vector<std::string>{})) {
      const auto link = proc.read_link(fmt::format("{}/fd/{}", pid, file));
      if (!link || !link->starts_with(kSocket) || !link->ends_with(']')) continue;
      out.insert(link->substr(kSocket.size(), link->size() - kSocket.size() - 1));
    }
  }
  return out;
}

}  // namespace

std::string address_bytes(std::string_view text) {
  const std::string plain(text.substr(0, text.find('%')));
  std::array<char, sizeof(in6_addr)> bytes{};
  if (::inet_pton(AF_INET, plain.c_str(), bytes.data()) == 1)
    return {bytes.data(), sizeof(in_addr)};
  if (::inet_pton(AF_INET6, plain.c_str(), bytes.data()) == 1)
    return plain_address({bytes.data(), bytes.size()});
  return "";
}

std::vector<Login> read_logins(const Proc& proc, std::string_view told) {
  std::vector<Login> out;
  const auto add = [&](std::string address, bool is_ours) {
    Login login{.address = std::move(address), .is_ours = is_ours};
    if (std::ranges::find(out, login) == out.end()) out.push_back(std::move(login));
  };
  if (std::string address = address_bytes(told); !address.empty()) add(std::move(address), true);
  const auto connections = read_connections(proc);
  if (connections.empty()) return out;
  const auto above = sockets_above(proc);
  for (const Connection& it : connections) {
    if (above.contains(it.inode)) add(it.address, true);
  }
  if (!out.empty()) return out;
  for (const Connection& it : connections) {
    if (it.port == kSsh) add(it.address, false);
  }
  return out;
}

}  // namespace anybind::guards
