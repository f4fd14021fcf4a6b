// One life of a core in a child process: start from snapshot and log, apply and append, answer what is confirmed, die.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "exchange/journal.hpp"
#include "exchange/report.hpp"
#include "points.hpp"

namespace crash {

// Everything that a life does, made from the seed before it begins.
struct Plan {
  exchange::LogConfig log;
  Point point;
  bool no_direct = false;
  exchange::SeqNum start = 0;               // the log's last seq_num when it begins
  std::vector<exchange::Command> commands;  // for the seq_nums behind that
  std::uint64_t seed = 0;                   // of its pauses and snapshots
};

// What a child tells its parent, as the core would tell a gateway. `number`: the digest of the reports of seq_num, or
// as said. A pipe takes many of them in one piece.
struct Message {
  enum class Kind : std::uint64_t {
    recovered,  // seq_num is the last one; number: the state hash
    gate,       // the journal lets answers up to seq_num out; told at that very moment
    confirmed,  // an answer
    snapshot,  // made behind seq_num; number: its state hash
    refused,   // everything appended behind seq_num is to be in no log
    finished,  // closed, with seq_num as the last one
  };
  Kind kind = Kind::confirmed;
  exchange::SeqNum seq_num = 0;
  std::uint64_t number = 0;
};

// A life that was refused a start because of a failure that its point made ends so; any other trouble is kTrouble.
inline constexpr int kNoStart = 3;
inline constexpr int kTrouble = 4;

[[nodiscard]] std::uint64_t digest_of(std::span<const exchange::Report> reports) noexcept;
// Starts the child; `messages` is the end of a pipe to read from. Throws std::system_error.
[[nodiscard]] pid_t start_life(const Plan& plan, int& messages);

}  // namespace crash
