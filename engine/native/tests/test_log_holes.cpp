// Segments whose file has holes, as a sparse copy leaves them: a store into one on a full disk would end the process.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "log_ops.hpp"
#include "test_log_files.hpp"

namespace {

using namespace log_files;

constexpr std::uint64_t kPlaces = 5'000;

// The same bytes in a new file that owns nothing behind the last byte that is not zero.
void copy_sparsely(const std::string& path) {
  const std::string bytes = bytes_of(path);
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << bytes.substr(0, bytes.find_last_not_of('\0') + 1);
  std::filesystem::resize_file(path, bytes.size());
}

bool owns_all(const std::string& path) {
  struct stat file {};
  CHECK(::stat(path.c_str(), &file) == 0);
  return file.st_blocks * 512 >= file.st_size;
}

// A log with records in its first segment and an empty second one, both restored sparsely.
LogConfig restored(const std::string& dir) {
  const LogConfig config = config_for(dir, kPlaces, AckPolicy::memory);
  {
    Log log(config);
    open(log);
    for (std::uint64_t n = 1; n <= kPlaces / 4; ++n) {
      const Command one = command(n);
      CHECK(log.append({&one, 1}) == AppendResult::written);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!std::filesystem::exists(segment_file(dir, 2))) {
      CHECK(std::chrono::steady_clock::now() < deadline);
      std::this_thread::yield();
    }
  }
  for (const std::uint64_t index : {1U, 2U}) {
    copy_sparsely(segment_file(dir, index));
    CHECK(!owns_all(segment_file(dir, index)));
  }
  return config;
}

// Appends up to this seq_num; what the last append said.
AppendResult append_to(Log& log, SeqNum last) {
  AppendResult result = AppendResult::written;
  while (result == AppendResult::written && log.last_seq_num() < last) {
    const Command one = command(log.last_seq_num() + 1);
    result = log.append({&one, 1});
  }
  return result;
}

// A disk on which the blocks of one segment cannot be reserved.
struct Room {
  static inline std::atomic<int> error{0};
  static inline std::atomic<char> segment{'0'};  // the last digit of its number

  static int reserve(int fd, int mode, off_t offset, off_t size) {
    std::array<char, 4096> path{};
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
    if (std::string(path.data(), static_cast<std::size_t>(length)).ends_with(std::string{segment} + ".log")) {
      errno = error;
      return -1;
    }
    return ::fallocate(fd, mode, offset, size);
  }
  Room(char number, int with) {
    segment = number;
    error = with;
    set_file_ops(&kOps);
  }
  ~Room() { set_file_ops(nullptr); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  Room(Room&&) = delete;
  Room& operator=(Room&&) = delete;

  static constexpr FileOps kOps{::pwrite, ::fdatasync, &Room::reserve};
};

TEST("a segment with holes owns all its blocks before it is stored into, the one that a start opens and the next") {
  const support::TempDir dir;
  const LogConfig config = restored(dir.path());
  {
    Log log(config);
    open(log);
    CHECK(owns_all(segment_file(dir.path(), 1)));
    CHECK(append_to(log, kPlaces + 1) == AppendResult::written);
    CHECK(owns_all(segment_file(dir.path(), 2)));
  }
  CHECK(read_all(config).size() == kPlaces + 1);
}

TEST("a start on a disk too full for the holes of a segment names it and what to do, and changes nothing") {
  const support::TempDir dir;
  const LogConfig config = restored(dir.path());
  {
    const Room none('1', ENOSPC);
    const auto message = refusal(config);
    CHECK(message && contains(*message, segment_file(dir.path(), 1) + ": its blocks cannot be reserved: No space left on device"));
    CHECK(contains(*message, "the disk is full: make room on the log's device and start again"));
  }
  CHECK(read_all(config).size() == kPlaces / 4);
}

TEST("a disk too full for the holes of the next segment is the fault that it is for a new one") {
  const support::TempDir dir;
  const LogConfig config = restored(dir.path());
  {
    const Room none('2', ENOSPC);
    Log log(config);
    open(log);
    CHECK(append_to(log, kPlaces + 1) == AppendResult::refused);
    CHECK(log.last_seq_num() == kPlaces && log.fault() == LogFault::disk_full && !log.healthy());
  }
  CHECK(read_all(config).size() == kPlaces);
}

TEST("where a file system cannot reserve blocks a log with holes goes on all the same") {
  const support::TempDir dir;
  const LogConfig config = restored(dir.path());
  for (const char segment : {'1', '2'}) {
    const Room none(segment, EOPNOTSUPP);
    Log log(config);
    open(log);
    CHECK(append_to(log, segment == '1' ? kPlaces / 2 : kPlaces + 9) == AppendResult::written);
  }
  CHECK(read_all(config).size() == kPlaces + 9);
}

}  // namespace
