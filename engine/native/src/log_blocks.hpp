// Batches as whole aligned blocks, for O_DIRECT. The block that a batch filled only in part is kept and written again
// with the next batch: its older records get the bytes that they have already.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "segment.hpp"

namespace exchange {

class BlockWriter {
 public:
  // What a write did. `reached`: bytes of the new records that may be in the file, counted from their first.
  struct Outcome {
    int error = 0;
    std::uint64_t reached = 0;
  };

  BlockWriter();

  // Takes up the block in which `next_seq` lies. 0 or errno.
  [[nodiscard]] int start(const Segment& segment, SeqNum next_seq) noexcept;
  // Where `count` records may be encoded to, at most kMaxBatch.
  [[nodiscard]] std::span<std::uint8_t> room(std::size_t count) noexcept { return {bytes() + used_, count * kRecordSize}; }
  // Writes them at the place of `first` and returns when they are on the device. They all lie in `segment`.
  [[nodiscard]] Outcome write(Segment& segment, SeqNum first, std::size_t count) noexcept;

 private:
  struct alignas(kBlock) Block {
    std::array<std::uint8_t, kBlock> bytes;
  };
  [[nodiscard]] std::uint8_t* bytes() noexcept { return blocks_.front().bytes.data(); }

  std::vector<Block> blocks_;
  std::size_t used_ = 0;  // bytes of the first block that are written already
};

}  // namespace exchange
