// One run: a log folder, up to three lives in it, and after each death the question whether everything is there.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "points.hpp"

namespace crash {

inline constexpr std::size_t kLives = 3;

// What a run was asked to do. Without points of its own, the seed makes them.
struct Request {
  std::uint64_t seed = 1;
  std::vector<Point> points;  // of the first lives
  bool brief = false;         // lives of a few dozen commands, for going through all points
};

// What runs met, summed up.
struct Totals {
  std::uint64_t runs = 0;
  std::uint64_t lives = 0;
  std::array<std::uint64_t, kKinds> killed{};  // by kind of point
  std::uint64_t ended = 0;                     // by themselves
  std::uint64_t confirmed = 0;                 // commands
  std::uint64_t unconfirmed_kept = 0;          // in the log, though nobody was told
  std::uint64_t refused = 0;                   // commands taken back after a failed write
  std::uint64_t torn = 0;                      // tails of the log
  std::uint64_t snapshots = 0;
  std::uint64_t switches = 0;  // of segments
  std::array<std::uint64_t, 2> policies{};  // lives under memory and device
};

// The product broke a promise. The message is for a person; `points` repeat the run.
class Broken : public std::runtime_error {
 public:
  Broken(const std::string& what, std::vector<Point> points, std::string folder)
      : std::runtime_error(what), points_(std::move(points)), folder_(std::move(folder)) {}
  [[nodiscard]] const std::vector<Point>& points() const noexcept { return points_; }
  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }

 private:
  std::vector<Point> points_;
  std::string folder_;
};

// True when the first life was killed. Throws Broken, and leaves its folder then.
bool run_once(const Request& request, Totals& totals);

}  // namespace crash
