// The floor under every answer that waits for the device: 4 KiB at a time with O_DIRECT|O_DSYNC into a file that was
// written before, which is as cheap as a durable write can be here.
#include "disk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "folder.hpp"

namespace bench {

namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kFileBlocks = 4096;

class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    need(fd_ >= 0, path + ": " + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
  }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  File(File&&) = delete;
  File& operator=(File&&) = delete;
  void write(const void* data, std::size_t size, std::size_t at) const {
    need(::pwrite(fd_, data, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size), "a write of the disk's floor failed");
  }
  void sync() const { need(::fsync(fd_) == 0, "a sync of the disk's floor failed"); }

 private:
  int fd_;
};

}  // namespace

Histogram disk_floor(const std::string& dir, std::size_t writes) {
  const Folder folder(dir);
  const std::string path = folder.path() + "/floor";
  const std::unique_ptr<void, void (*)(void*)> block(std::aligned_alloc(kBlock, kBlock), &std::free);
  need(block != nullptr, "no memory for one block");
  std::memset(block.get(), 0, kBlock);
  {
    const File file(path, O_CREAT | O_WRONLY);
    for (std::size_t i = 0; i < kFileBlocks; ++i) {
      file.write(block.get(), kBlock, i * kBlock);
    }
    file.sync();
  }
  const File file(path, O_WRONLY | O_DIRECT | O_DSYNC);
  Histogram histogram;
  for (std::size_t i = 0; i < writes; ++i) {
    std::memset(block.get(), static_cast<int>(i & 0xFFU), kBlock);
    const Ticks from = ticks_now();
    file.write(block.get(), kBlock, i % kFileBlocks * kBlock);
    histogram.record(ticks_now() - from);
  }
  return histogram;
}

Json disk(const Options& options) {
  const TickRate rate = TickRate::measured();
  std::vector<Json> runs;
  for (unsigned run = 0; run < options.runs; ++run) {
    runs.push_back(quantiles(disk_floor(options.dir, options.small ? 50 : 3'000), rate));
  }
  Json json;
  return json.put("runs", runs);
}

}  // namespace bench
