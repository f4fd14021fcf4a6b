#include "link_server.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

namespace exchange {

namespace {

constexpr LinkId kWakeId = 0;
constexpr LinkId kTimerId = 1;
constexpr LinkId kListenerId = 2;
constexpr LinkId kFirstLinkId = 3;

constexpr std::size_t kMaxLinks = 256;
constexpr std::size_t kReadSize = std::size_t{64} * 1024;          // per link and round
constexpr std::size_t kMaxOutput = std::size_t{8} * 1024 * 1024;   // per link
constexpr int kHelloTicks = 5;                                     // seconds for the first frame
constexpr int kBacklog = 128;
constexpr int kKeepIdleSeconds = 10;
constexpr int kKeepIntervalSeconds = 5;
constexpr int kKeepCount = 3;

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

void set_option(int fd, int level, int name, int value) noexcept { (void)::setsockopt(fd, level, name, &value, sizeof value); }

// A peer whose machine died must not hold its link for ever.
void prepare_link(int fd) noexcept {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdleSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepIntervalSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepCount);
}

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

AddressList resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0 || found == nullptr) {
    throw std::system_error(EADDRNOTAVAIL, std::generic_category(), "host " + host + " has no address");
  }
  return {found, &::freeaddrinfo};
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail("getsockname");
  }
  return address.ss_family == AF_INET6 ? ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port)
                                       : ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace

LinkServer::LinkServer()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      next_id_(kFirstLinkId),
      read_buffer_(kReadSize) {
  if (!epoll_ || !timer_) {
    fail("epoll");
  }
  const itimerspec every_second{{1, 0}, {1, 0}};
  if (::timerfd_settime(timer_.get(), 0, &every_second, nullptr) != 0) {
    fail("timerfd_settime");
  }
  watch(bell_.fd(), kWakeId, EPOLLIN);
  watch(timer_.get(), kTimerId, EPOLLIN);
}

std::uint16_t LinkServer::listen(const std::string& host, std::uint16_t port) {
  const AddressList addresses = resolve(host, port);
  const addrinfo& address = *addresses;
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    fail("socket");
  }
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0) {
    fail("bind");
  }
  if (::listen(fd.get(), kBacklog) != 0) {
    fail("listen");
  }
  listener_ = std::move(fd);
  watch(listener_.get(), kListenerId, EPOLLIN);
  accepting_ = true;
  return port_of(listener_.get());
}

void LinkServer::watch(int fd, LinkId id, std::uint32_t events, bool known) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
    fail("epoll_ctl");
  }
}

void LinkServer::poll(std::vector<Inbound>& inbound, bool may_wait) {
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), may_wait ? -1 : 0);
  if (count < 0 && errno != EINTR) {
    fail("epoll_wait");
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const LinkId id = event.data.u64;
    if (id == kWakeId) {
      drain(bell_.fd());
    } else if (id == kTimerId) {
      drain(timer_.get());
      tick();
    } else if (id == kListenerId) {
      accept_ready();
    } else if (const auto found = links_.find(id); found != links_.end()) {
      if ((event.events & EPOLLOUT) != 0U) {
        mark_dirty(id, found->second);
      }
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0U) {
        read_link(id, found->second, inbound);
      }
    }
  }
}

void LinkServer::drain(int fd) const noexcept {
  std::uint64_t ignored = 0;
  while (::read(fd, &ignored, sizeof ignored) > 0) {
  }
}

void LinkServer::accept_ready() {
  for (int i = 0; i < kBacklog; ++i) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        pause_accepting();
      }
      return;
    }
    if (links_.size() >= kMaxLinks) {
      continue;
    }
    prepare_link(fd.get());
    const LinkId id = next_id_++;
    watch(fd.get(), id, EPOLLIN);
    links_[id].fd = std::move(fd);
  }
}

// Out of descriptors: the listener would stay ready and spin. It is tried again at the next tick.
void LinkServer::pause_accepting() {
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
  accepting_ = false;
}

void LinkServer::tick() {
  if (!accepting_ && listener_) {
    watch(listener_.get(), kListenerId, EPOLLIN);
    accepting_ = true;
  }
  for (auto at = links_.begin(); at != links_.end();) {
    const bool late = !at->second.greeted && ++at->second.age_ticks > kHelloTicks;
    at = late ? links_.erase(at) : std::next(at);
  }
}

void LinkServer::read_link(LinkId id, Link& link, std::vector<Inbound>& inbound) {
  const ssize_t got = ::recv(link.fd.get(), read_buffer_.data(), read_buffer_.size(), 0);
  if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) {
    return;
  }
  if (got <= 0) {
    close(id);
    return;
  }
  link.decoder.feed(std::span(read_buffer_).first(static_cast<std::size_t>(got)));
  while (auto frame = link.decoder.next()) {
    inbound.push_back({id, std::move(*frame)});
  }
  if (link.decoder.bad()) {
    close(id);
  }
}

void LinkServer::greeted(LinkId link) noexcept {
  if (const auto found = links_.find(link); found != links_.end()) {
    found->second.greeted = true;
  }
}

bool LinkServer::is_greeted(LinkId link) const noexcept {
  const auto found = links_.find(link);
  return found != links_.end() && found->second.greeted;
}

std::vector<std::uint8_t>* LinkServer::output(LinkId link) {
  const auto found = links_.find(link);
  if (found == links_.end()) {
    return nullptr;
  }
  if (found->second.output.size() - found->second.sent > kMaxOutput) {
    close(link);
    return nullptr;
  }
  mark_dirty(link, found->second);
  return &found->second.output;
}

void LinkServer::mark_dirty(LinkId id, Link& link) {
  if (!link.dirty) {
    link.dirty = true;
    dirty_.push_back(id);
  }
}

void LinkServer::flush() {
  for (const LinkId id : dirty_) {
    const auto found = links_.find(id);
    if (found == links_.end()) {
      continue;
    }
    found->second.dirty = false;
    if (!send_pending(id, found->second)) {
      links_.erase(found);
    }
  }
  dirty_.clear();
}

bool LinkServer::send_pending(LinkId id, Link& link) {
  while (link.sent < link.output.size()) {
    const ssize_t put = ::send(link.fd.get(), link.output.data() + link.sent, link.output.size() - link.sent, MSG_NOSIGNAL);
    if (put > 0) {
      link.sent += static_cast<std::size_t>(put);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      return false;
    }
  }
  const bool pending = link.sent < link.output.size();
  if (!pending) {
    link.output.clear();
    link.sent = 0;
  } else if (link.sent > kMaxOutput) {
    link.output.erase(link.output.begin(), link.output.begin() + static_cast<std::ptrdiff_t>(link.sent));
    link.sent = 0;
  }
  if (pending != link.waits_to_write) {
    link.waits_to_write = pending;
    watch(link.fd.get(), id, pending ? EPOLLIN | EPOLLOUT : EPOLLIN, true);
  }
  return link.output.size() - link.sent <= kMaxOutput;
}

void LinkServer::close(LinkId link) { links_.erase(link); }

void LinkServer::close_all() noexcept {
  links_.clear();
  dirty_.clear();
}

void LinkServer::shut_down() noexcept {
  close_all();
  listener_.reset();
  accepting_ = false;
}

}  // namespace exchange
