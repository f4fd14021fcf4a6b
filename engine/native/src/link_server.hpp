// The gateways' links: one epoll set, non-blocking sockets, bounded buffers. Knows frames, knows no orders.
//
// A link that sends garbage, says no hello in time, or does not read its answers is closed; no link can make the
// core wait. Used by one thread, except ring() of its bell.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core_doorbell.hpp"
#include "exchange/codec.hpp"
#include "exchange/posix.hpp"

namespace exchange {

using LinkId = std::uint64_t;  // never used twice

struct Inbound {
  LinkId link = 0;
  Frame frame;
};

class LinkServer {
 public:
  LinkServer();

  // Throws std::system_error. Returns the port.
  std::uint16_t listen(const std::string& host, std::uint16_t port);
  // Makes poll() return once it is armed.
  [[nodiscard]] Doorbell& bell() noexcept { return bell_; }
  // Waits until something happens (with `may_wait`), at most a second; then accepts, reads each ready link once and
  // appends its whole frames.
  void poll(std::vector<Inbound>& inbound, bool may_wait);
  // The first frame was a proper hello: the link may stay.
  void greeted(LinkId link) noexcept;
  [[nodiscard]] bool is_greeted(LinkId link) const noexcept;
  [[nodiscard]] bool is_open(LinkId link) const noexcept { return links_.contains(link); }
  // The buffer to append a link's answers to; null when the link is gone. Follow with flush().
  [[nodiscard]] std::vector<std::uint8_t>* output(LinkId link);
  // Sends what the sockets take now; closes links that hold back more than kMaxOutput.
  void flush();
  void close(LinkId link);
  void close_all() noexcept;
  // Also gives the port back.
  void shut_down() noexcept;
  [[nodiscard]] std::size_t links() const noexcept { return links_.size(); }

 private:
  struct Link {
    UniqueFd fd;
    FrameDecoder decoder;
    std::vector<std::uint8_t> output;
    std::size_t sent = 0;
    bool greeted = false;
    bool waits_to_write = false;
    bool dirty = false;  // in dirty_
    int age_ticks = 0;
  };

  void watch(int fd, LinkId id, std::uint32_t events, bool known = false);
  void accept_ready();
  void pause_accepting();
  void tick();
  void drain(int fd) const noexcept;
  void mark_dirty(LinkId id, Link& link);
  void read_link(LinkId id, Link& link, std::vector<Inbound>& inbound);
  // False when the link must be closed.
  [[nodiscard]] bool send_pending(LinkId id, Link& link);

  UniqueFd epoll_;
  Doorbell bell_;
  UniqueFd timer_;
  UniqueFd listener_;
  bool accepting_ = false;
  LinkId next_id_;
  std::unordered_map<LinkId, Link> links_;
  std::vector<LinkId> dirty_;
  std::vector<std::uint8_t> read_buffer_;
};

}  // namespace exchange
