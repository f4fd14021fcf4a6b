// From frames to what partitions work on, and which partition that is. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "exchange/types.hpp"
#include "link_server.hpp"

namespace exchange {

// What the link's thread hands to a partition. A question for depth uses `instrument` and `qty` (levels) of the command.
struct Input {
  LinkId link = 0;
  std::uint64_t request_id = 0;
  bool asks_depth = false;
  Command command;
};

// A frame's place among the inputs: a command, a question, or nothing that a gateway may send. `well_formed` is false
// when no command could be made of it; it is answered, and goes no further.
struct Sorted {
  Input input;
  bool well_formed = true;
};
[[nodiscard]] std::optional<Sorted> sort_frame(const Inbound& inbound) noexcept;

// The partition that an input belongs to; nothing: all of them.
//
// An instrument lives in partition index % partitions, an order in (id - 1) % partitions, a firm's flags and limits in
// all. Sessions of one instrument go to all as well: each partition knows every instrument's state, because a day may
// only end when all are closed.
[[nodiscard]] std::optional<std::uint32_t> partition_of(const Command& command, std::uint32_t partitions) noexcept;

}  // namespace exchange
