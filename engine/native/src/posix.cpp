#include "exchange/posix.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace exchange {

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
    const ssize_t put = ::pwrite(fd, from.data() + done.bytes, from.size() - done.bytes, static_cast<off_t>(offset + done.bytes));
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
  static constexpr std::array<std::uint8_t, 65536> kZeros{};
  Transfer done;
  while (done.bytes < size && done.error == 0) {
    const std::uint64_t chunk = std::min<std::uint64_t>(kZeros.size(), size - done.bytes);
    const Transfer part = write_at(fd, std::span(kZeros).first(chunk), offset + done.bytes);
    done.bytes += part.bytes;
    done.error = part.error;
  }
  return done;
}

int sync_data(int fd) noexcept {
  while (::fdatasync(fd) != 0) {
    if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int sync_directory(const std::string& path) noexcept {
  const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return dir ? sync_data(dir.get()) : errno;
}

std::string error_text(int error) { return std::generic_category().message(error); }

}  // namespace exchange
