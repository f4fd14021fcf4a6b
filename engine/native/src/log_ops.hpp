// The system calls whose failures decide the fate of a batch or of a segment, replaceable so that tests can make them fail.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace exchange {

struct FileOps {
  ssize_t (*write)(int fd, const void* from, std::size_t size, off_t offset);
  int (*sync)(int fd);  // fdatasync
  int (*reserve)(int fd, int mode, off_t offset, off_t size);  // fallocate
};

[[nodiscard]] const FileOps& file_ops() noexcept;
// For tests. `ops` must outlive its use; null: the real ones.
void set_file_ops(const FileOps* ops) noexcept;

}  // namespace exchange
