// Where a child dies: the text of a point, and the seam's operations with the death in them.
//
// A point is `kind:at:extra`; `at` counts from 0 in each life, recovery included. Kinds:
//   before, after   at the file operation `at`, on this or that side of it
//   part            in it: only the first bytes reach the file (extra: how many, modulo those up to the last that is not 0)
//   sectors         in it: any sectors of it reach the file, as at a power cut (extra: which, a seed)
//   batch           as sectors, and `at` counts the writes of records alone
//   power           before it, and what was written and not synced is gone again, sector by sector (extra: a seed)
//   steps           `extra` machine instructions after the operation, in the thread that did it
//   append          inside append() of the command `at`, `extra` instructions after it began
//   fail            the operation fails (extra % 2: disk full, device) and the process dies extra / 2 operations later
//   outside         somebody else kills it, once `at` answers have been read
//   none            it lives to its end and closes the log
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "support.hpp"

namespace crash {

enum class Kind : std::uint8_t { none, before, part, sectors, batch, after, power, steps, append, fail, outside };
inline constexpr std::size_t kKinds = 11;

struct Point {
  Kind kind = Kind::none;
  std::uint64_t at = 0;
  std::uint64_t extra = 0;
};

[[nodiscard]] std::string_view name_of(Kind kind) noexcept;
[[nodiscard]] std::string text_of(const Point& point);
// Nothing when it is no point.
[[nodiscard]] std::optional<Point> parse_point(std::string_view text);
// About what a life does; `device`: its log promises to survive a power cut.
struct Expected {
  std::uint64_t operations = 1;
  std::uint64_t commands = 1;
  bool device = false;
};
// A point that such a life is likely to meet.
[[nodiscard]] Point random_point(support::Random& random, const Expected& expected);

// In the child, from here on: file operations are the seam's, with the point in them. `no_direct`: the file system
// refuses O_DIRECT when it is written to.
void arm(const Point& point, bool no_direct);
// Around append() of the command `number` of this life.
void begin_append(std::uint64_t number) noexcept;
void end_append() noexcept;
// While true, no batch is written under `device`: what is appended meanwhile shares one.
void hold_batches(bool held) noexcept;
// True when an operation was made to fail.
[[nodiscard]] bool made_fail() noexcept;

}  // namespace crash
