// A segment file whose header or length is wrong while its records are good: what it must have been, if that is certain.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "segment.hpp"

namespace exchange {

struct SegmentMend {
  std::string path;
  SegmentHeader header;         // as it must be
  bool rewrite_header = false;  // the one in the file is damaged
  std::uint64_t size = 0;       // of the file now
  // The first seq_num whose place is not wholly in the file.
  [[nodiscard]] SeqNum first_missing() const noexcept;
  // "path: what is done", for a plan.
  [[nodiscard]] std::string text() const;
};

// Nothing when the file cannot be made good with certainty. `before`: the header in front, if that is known.
[[nodiscard]] std::optional<SegmentMend> mend_of(const std::string& dir, std::uint64_t index, const std::optional<SegmentHeader>& before);
// Writes zeros and header as the mend says, and syncs. Throws LogError.
void carry_out(const SegmentMend& mend);
// Every record with a good CRC, whatever the header says of the file.
void each_good_record(const std::string& path, const std::function<void(const LogRecord&)>& see);
// Records with a good CRC anywhere in the file, of this seq_num or later ones.
[[nodiscard]] std::uint64_t good_records_in(const std::string& path, SeqNum from);

}  // namespace exchange
