#include "exchange/posix.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>

#include "log_ops.hpp"

namespace exchange {

namespace {

constexpr FileOps kRealOps{::pwrite, ::fdatasync, ::fallocate};
std::atomic<const FileOps*> current_ops{&kRealOps};

}  // namespace

const FileOps& file_ops() noexcept { return *current_ops.load(std::memory_order_acquire); }
void set_file_ops(const FileOps* ops) noexcept { current_ops.store(ops != nullptr ? ops : &kRealOps, std::memory_order_release); }

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  fd_ = fd;
}

Transfer read_at(int fd, std::span<std::uint8_t> to, std::uint64_t offset) noexcept {
  Transfer done;
  while (done.bytes < to.size()) {
    const ssize_t got = ::pread(fd, to.data() + done.bytes, to.size() - done.bytes, static_cast<off_t>(offset + done.bytes));
    if (got > 0) {
      done.bytes += static_cast<std::size_t>(got);
    } else if (got == 0) {
      break;
    } else if (errno != EINTR) {
      done.error = errno;
      break;
    }
  }
  return done;
}

Transfer write_at(int fd, std::span<const std::uint8_t> from, std::uint64_t offset) noexcept {
  Transfer done;
  while (done.bytes < from.size()) {
    const ssize_t put = file_ops().write(fd, from.data() + done.bytes, from.size() - done.bytes, static_cast<off_t>(offset + done.bytes));
    if (put > 0) {
      done.bytes += static_cast<std::size_t>(put);
    } else if (put == 0) {
      done.error = ENOSPC;
      break;
    } else if (errno != EINTR) {
      done.error = errno;
      break;
    }
  }
  return done;
}

Transfer zero_at(int fd, std::uint64_t size, std::uint64_t offset) noexcept {
  // Large, because a busy device takes as long for a small write; not const, so that it takes no room in the program.
  alignas(kBlock) static std::array<std::uint8_t, std::size_t{1} << 20U> zeros{};
  Transfer done;
  while (done.bytes < size && done.error == 0) {
    const std::uint64_t chunk = std::min<std::uint64_t>(zeros.size(), size - done.bytes);
    const Transfer part = write_at(fd, std::span(zeros).first(chunk), offset + done.bytes);
    done.bytes += part.bytes;
    done.error = part.error;
  }
  return done;
}

int reserve_blocks(int fd, std::uint64_t size) noexcept {
  while (file_ops().reserve(fd, 0, 0, static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) {
      return errno == ENOSYS ? EOPNOTSUPP : errno;
    }
  }
  return 0;
}

int sync_data(int fd) noexcept {
  while (file_ops().sync(fd) != 0) {
    if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

void MappedFile::reset() noexcept {
  if (!bytes_.empty()) {
    ::munmap(bytes_.data(), bytes_.size());
    bytes_ = {};
  }
}

int MappedFile::map(int fd, std::size_t size) noexcept {
  reset();
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) {
    return errno;
  }
  bytes_ = {static_cast<std::uint8_t*>(at), size};
  return 0;
}

void MappedFile::make_writable(std::size_t from, std::size_t size) const noexcept {
  if (from < bytes_.size()) {
    (void)::madvise(bytes_.data() + from, std::min(size, bytes_.size() - from), MADV_POPULATE_WRITE);
  }
}

int sync_directory(const std::string& path) noexcept {
  const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return dir ? sync_data(dir.get()) : errno;
}

std::string error_text(int error) { return std::generic_category().message(error); }

}  // namespace exchange
