#include "points.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "exchange/posix.hpp"
#include "log_ops.hpp"

namespace crash {

namespace {

using exchange::UniqueFd;

constexpr std::array<std::string_view, kKinds> kNames = {"none",  "before", "part",   "sectors", "batch",  "after",
                                                         "power", "steps",  "append", "fail",    "outside"};
constexpr std::size_t kSector = 512;

// What was written to a file under its final name and is not on the device yet.
struct Unsynced {
  dev_t device = 0;
  ino_t file = 0;
  std::string path;
  off_t offset = 0;
  std::vector<std::uint8_t> before;
};

// Of this process; both threads of a log come here.
struct Armed {
  Point point;
  bool no_direct = false;
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> left{0};  // instructions
  std::atomic<bool> failed{false};
  std::atomic<bool> held{false};
  std::mutex mutex;
  std::vector<Unsynced> unsynced;
};
Armed armed;

[[noreturn]] void die() noexcept {
  ::kill(::getpid(), SIGKILL);
  for (;;) {
    ::pause();
  }
}

#if defined(__x86_64__)
constexpr unsigned long long kTrapFlag = 0x100;
void on_step(int) {
  if (armed.left.fetch_sub(1, std::memory_order_relaxed) == 1) {
    die();
  }
}
void step(bool on) noexcept {
  const unsigned long long flags = __readeflags();
  __writeeflags(on ? flags | kTrapFlag : flags & ~kTrapFlag);
}
#else
void on_step(int) {}
// No way to count instructions here: the point is the beginning of what would be counted.
void step(bool on) noexcept {
  if (on) {
    die();
  }
}
#endif

std::string path_of(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

std::string name_behind(int fd) {
  std::array<char, 4096> name{};
  const ssize_t size = ::readlink(path_of(fd).c_str(), name.data(), name.size());
  return size > 0 ? std::string(name.data(), static_cast<std::size_t>(size)) : std::string();
}

bool opened_with(int fd, int flag) noexcept { return (static_cast<unsigned>(::fcntl(fd, F_GETFL)) & static_cast<unsigned>(flag)) != 0; }
bool reaches_device_at_once(int fd) noexcept { return opened_with(fd, O_DSYNC); }

// A segment gets its name when it is whole and synced: only what comes later is looked after here.
void remember(int fd, std::size_t size, off_t offset) {
  Unsynced one;
  one.path = name_behind(fd);
  struct stat file {};
  if (!one.path.ends_with(".log") || reaches_device_at_once(fd) || ::fstat(fd, &file) != 0) {
    return;
  }
  one.device = file.st_dev;
  one.file = file.st_ino;
  one.offset = offset;
  one.before.resize(size);
  const UniqueFd readable(::open(one.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (::pread(readable.get(), one.before.data(), size, offset) == static_cast<ssize_t>(size)) {
    const std::lock_guard lock(armed.mutex);
    armed.unsynced.push_back(std::move(one));
  }
}

void forget(int fd) {
  struct stat file {};
  if (::fstat(fd, &file) == 0) {
    const std::lock_guard lock(armed.mutex);
    std::erase_if(armed.unsynced, [&file](const Unsynced& one) { return one.device == file.st_dev && one.file == file.st_ino; });
  }
}

void put_sectors(int fd, const std::uint8_t* from, std::size_t size, off_t offset, support::Random& random) {
  for (std::size_t at = 0; at < size; at += kSector) {
    if (random.below(2) == 0) {
      (void)!::pwrite(fd, from + at, std::min(kSector, size - at), offset + static_cast<off_t>(at));
    }
  }
}

// The newest first: each leaves what was there before it.
void lose_unsynced(support::Random& random) {
  const std::lock_guard lock(armed.mutex);
  for (auto one = armed.unsynced.rbegin(); one != armed.unsynced.rend(); ++one) {
    const UniqueFd file(::open(one->path.c_str(), O_WRONLY | O_CLOEXEC));
    put_sectors(file.get(), one->before.data(), one->before.size(), one->offset, random);
  }
}

// Through a descriptor without O_DIRECT, which would want whole blocks.
void put_part(int fd, const void* from, std::size_t size, off_t offset) {
  const UniqueFd plain(::open(path_of(fd).c_str(), O_WRONLY | O_CLOEXEC));
  const auto* const bytes = static_cast<const std::uint8_t*>(from);
  if (armed.point.kind == Kind::part) {
    std::size_t used = size;
    while (used > 0 && bytes[used - 1] == 0) {
      --used;
    }
    (void)!::pwrite(plain.get(), bytes, 1 + armed.point.extra % (used == 0 ? size : used), offset);
  } else {
    support::Random random(armed.point.extra);
    put_sectors(plain.get(), bytes, size, offset, random);
  }
}

void step_from_here() noexcept {
  sigset_t trap{};
  ::sigemptyset(&trap);
  ::sigaddset(&trap, SIGTRAP);
  ::pthread_sigmask(SIG_UNBLOCK, &trap, nullptr);
  armed.left = std::max<std::uint64_t>(armed.point.extra, 1);
  step(true);
}

// Before the operation `number`. True: it is to fail.
bool come_to(std::uint64_t number) {
  const Point& point = armed.point;
  if (point.kind == Kind::fail && number >= point.at) {
    if (number > point.at && number == point.at + point.extra / 2) {
      die();
    }
    if (number == point.at) {
      armed.failed = true;
      return true;
    }
  }
  if (number == point.at && point.kind == Kind::before) {
    die();
  }
  if (number == point.at && point.kind == Kind::power) {
    support::Random random(point.extra);
    lose_unsynced(random);
    die();
  }
  return false;
}

void come_behind(std::uint64_t number) {
  if (number == armed.point.at && armed.point.kind == Kind::after) {
    die();
  }
  if (number == armed.point.at && armed.point.kind == Kind::steps) {
    step_from_here();
  }
}

template <typename Result>
Result failing() noexcept {
  errno = armed.point.extra % 2 == 0 ? ENOSPC : EIO;
  return -1;
}

// Not the making of a segment, nor a cut.
bool is_batch(const void* from, off_t offset) noexcept {
  std::uint64_t first = 0;
  std::memcpy(&first, from, sizeof(first));
  return offset > 0 && first != 0;
}

ssize_t write_here(int fd, const void* from, std::size_t size, off_t offset) {
  while (armed.held && reaches_device_at_once(fd)) {
    std::this_thread::yield();
  }
  if (armed.no_direct && opened_with(fd, O_DIRECT)) {
    errno = EINVAL;
    return -1;
  }
  const std::uint64_t number = armed.operations++;
  if (come_to(number)) {
    return failing<ssize_t>();
  }
  const bool here = number == armed.point.at && (armed.point.kind == Kind::part || armed.point.kind == Kind::sectors);
  const bool batch_here = armed.point.kind == Kind::batch && is_batch(from, offset) && armed.batches++ == armed.point.at;
  if (here || batch_here) {
    put_part(fd, from, size, offset);
    die();
  }
  if (armed.point.kind == Kind::power) {
    remember(fd, size, offset);
  }
  const ssize_t done = ::pwrite(fd, from, size, offset);
  const int error = errno;
  come_behind(number);
  errno = error;
  return done;
}

int sync_here(int fd) {
  const std::uint64_t number = armed.operations++;
  if (come_to(number)) {
    return failing<int>();
  }
  const int done = ::fdatasync(fd);
  const int error = errno;
  if (done == 0 && armed.point.kind == Kind::power) {
    forget(fd);
  }
  come_behind(number);
  errno = error;
  return done;
}

constexpr exchange::FileOps kOps{write_here, sync_here, ::fallocate};

bool take_number(std::string_view& text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc{};
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return good;
}

}  // namespace

std::string_view name_of(Kind kind) noexcept { return kNames.at(static_cast<std::size_t>(kind)); }

std::string text_of(const Point& point) {
  return std::string(name_of(point.kind)) + ":" + std::to_string(point.at) + ":" + std::to_string(point.extra);
}

std::optional<Point> parse_point(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto* const found = std::find(kNames.begin(), kNames.end(), text.substr(0, colon));
  if (found == kNames.end()) {
    return std::nullopt;
  }
  Point point;
  point.kind = static_cast<Kind>(found - kNames.begin());
  text.remove_prefix(std::min(colon, text.size()));
  for (std::uint64_t* const number : {&point.at, &point.extra}) {
    if (!text.empty() && (text.front() != ':' || (text.remove_prefix(1), !take_number(text, *number)))) {
      return std::nullopt;
    }
  }
  return text.empty() ? std::optional(point) : std::nullopt;
}

Point random_point(support::Random& random, const Expected& expected) {
  constexpr std::array kOften = {Kind::before, Kind::part, Kind::sectors, Kind::after, Kind::steps, Kind::append, Kind::fail, Kind::outside};
  Point point;
  point.kind = random.below(24) == 0 ? Kind::none : kOften.at(random.below(kOften.size()));
  if (expected.device && random.below(3) == 0) {
    point.kind = random.below(2) == 0 ? Kind::power : Kind::batch;
  }
  const bool by_command = point.kind == Kind::append || point.kind == Kind::outside;
  const bool early = random.below(4) == 0;
  point.at = random.below(early ? 8 : by_command ? expected.commands : point.kind == Kind::batch ? 1 + expected.commands / 40 : expected.operations);
  point.extra = random.below(100'000);
  if (point.kind == Kind::steps || point.kind == Kind::append) {
    point.extra = 1 + random.below(random.below(2) == 0 ? 300 : 3000);
  } else if (point.kind == Kind::fail) {
    point.extra = random.below(16);
  }
  return point;
}

void arm(const Point& point, bool no_direct) {
  armed.point = point;
  armed.no_direct = no_direct;
  struct sigaction action {};
  action.sa_handler = on_step;
  ::sigaction(SIGTRAP, &action, nullptr);
  exchange::set_file_ops(&kOps);
}

void begin_append(std::uint64_t number) noexcept {
  if (armed.point.kind != Kind::append || number < armed.point.at) {
    return;
  }
  if (number == armed.point.at) {
    armed.left = std::max<std::uint64_t>(armed.point.extra, 1);
  }
  step(true);
}

void end_append() noexcept {
  if (armed.point.kind == Kind::append) {
    step(false);
  }
}

void hold_batches(bool held) noexcept { armed.held = held; }

bool made_fail() noexcept { return armed.failed; }

}  // namespace crash
