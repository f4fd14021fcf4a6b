// Recovery's reading half: every segment in order, every record judged, nothing changed on disk.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "exchange/log.hpp"
#include "segment.hpp"

namespace exchange {

// What is to be zeroed before the log may grow: the places from_seq..to_seq, all in the last batch.
struct TornTail {
  SeqNum from_seq = 0;
  SeqNum to_seq = 0;
  std::uint64_t records = 0;  // places in it that held something
};

class LogScan {
 public:
  LogScan(const LogConfig& config, const std::function<void(const LogRecord&)>& apply) : config_(config), apply_(apply) {}

  // Throws LogError on anything but a torn last batch.
  void run(const std::vector<Segment>& segments);

  [[nodiscard]] std::uint64_t records() const noexcept { return next_seq_ - 1; }
  [[nodiscard]] const std::optional<TornTail>& torn_tail() const noexcept { return torn_; }

 private:
  void check_header(const Segment& segment, SeqNum expected_first, std::uint64_t expected_index) const;
  void scan(const Segment& segment);
  void place(const Segment& segment, SeqNum seq_num, std::span<const std::uint8_t, kRecordSize> bytes);
  void keep(const Segment& segment, const LogRecord& record);
  void behind_hole(const Segment& segment, SeqNum seq_num, RecordState state, const LogRecord& record);
  void check_seq_num(const Segment& segment, SeqNum seq_num, const LogRecord& record) const;

  struct Hole {
    SeqNum seq_num;
    std::string path;
    std::uint64_t offset;
  };

  const LogConfig& config_;
  const std::function<void(const LogRecord&)>& apply_;
  SeqNum next_seq_ = 1;
  std::uint64_t epoch_ = 0;
  SeqNum batch_first_seq_ = 0;
  TimeNs ts_ns_ = 0;
  std::optional<Hole> hole_;  // the first place without a good record
  std::optional<TornTail> torn_;
};

}  // namespace exchange
