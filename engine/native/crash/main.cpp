// crash_driver: kills cores at every moment and looks whether anything that was answered is lost, or there twice.
//
// usage: crash_driver [--runs N] [--sweep] [--seed S] [--point P[,P[,P]]] [--brief]
//   --runs N    N runs with the seeds S, S+1, ... (default 1)
//   --sweep     for each of N seeds: one run for each file operation of the first life, in each of the ways to die there
//   --point P   how the lives of the one run die, as in points.hpp (default: from the seed); N repeats it
//   --brief     short lives, as a sweep has them
// Logs are made in $TMPDIR. A failure prints the seed and the points, keeps the folder, and ends with exit code 1.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "run.hpp"

namespace {

using crash::Kind;
using crash::Request;
using crash::Totals;

struct Options {
  std::uint64_t runs = 1;
  bool sweep = false;
  Request request;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

bool take_points(std::string_view text, std::vector<crash::Point>& points) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const auto point = crash::parse_point(text.substr(0, comma));
    if (!point) {
      return false;
    }
    points.push_back(*point);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return points.size() <= crash::kLives;
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--sweep") {
      options.sweep = options.request.brief = true;
      continue;
    }
    if (name == "--brief") {
      options.request.brief = true;
      continue;
    }
    const std::string_view value = i + 1 < argc ? argv[++i] : "";
    const auto counted = number(value);
    if (name == "--point" && !value.empty() && take_points(value, options.request.points)) {
      continue;
    }
    if (!counted || (name != "--runs" && name != "--seed")) {
      return std::nullopt;
    }
    (name == "--runs" ? options.runs : options.request.seed) = *counted;
  }
  return options;
}

// The first life as said, the others by seed, as points: so a failure can be repeated from what is printed.
bool run_with(const crash::Point& first, const Request& request, Totals& totals, std::uint64_t number) {
  support::Random random(request.seed + (number << 32U));
  Request one = request;
  one.points = {first, crash::random_point(random, {30, 40, true}), crash::random_point(random, {30, 40, true})};
  return crash::run_once(one, totals);
}

// Every operation in every way, and a life from instruction to instruction inside one append. How many operations there
// are shows when a life ends before it comes to the point.
void sweep(const Request& request, Totals& totals) {
  constexpr std::uint64_t kAppendSteps = 900;  // about what one takes; beyond it the next one is met
  std::uint64_t number = 0;
  std::uint64_t operations = 0;
  while (run_with({Kind::before, operations, 0}, request, totals, number++)) {
    ++operations;
  }
  for (const Kind kind : {Kind::part, Kind::sectors, Kind::batch, Kind::after, Kind::power, Kind::steps, Kind::fail}) {
    for (std::uint64_t at = 0; at < operations; ++at) {
      (void)run_with({kind, at, kind == Kind::steps ? 1 + at * 37 % 400 : at * 977 + 1}, request, totals, number++);
    }
  }
  for (std::uint64_t steps = 1; steps < kAppendSteps; steps += 17) {
    (void)run_with({Kind::append, steps % 12, steps}, request, totals, number++);
  }
}

std::uint64_t count(std::uint64_t number) { return number; }

void print(const Totals& totals) {
  std::printf("%lu runs, %lu lives (memory %lu, device %lu): %lu came to their end", count(totals.runs), count(totals.lives),
              count(totals.policies[0]), count(totals.policies[1]), count(totals.ended));
  for (std::size_t kind = 1; kind < crash::kKinds; ++kind) {
    const std::string_view name = crash::name_of(static_cast<Kind>(kind));
    std::printf(", %.*s %lu", static_cast<int>(name.size()), name.data(), count(totals.killed.at(kind)));
  }
  std::printf("\n%lu confirmed commands all there; %lu more in the log, %lu writes taken back, %lu torn tails, %lu segment switches, %lu snapshots\n",
              count(totals.confirmed), count(totals.unconfirmed_kept), count(totals.refused), count(totals.torn), count(totals.switches),
              count(totals.snapshots));
}

int run(const Options& options) {
  Totals totals;
  Request request = options.request;
  try {
    for (std::uint64_t i = 0; i < options.runs; ++i) {
      if (options.sweep) {
        sweep(request, totals);
      } else {
        (void)crash::run_once(request, totals);
      }
      request.seed += options.request.points.empty() ? 1 : 0;
    }
  } catch (const crash::Broken& broken) {
    std::string points;
    for (const crash::Point& point : broken.points()) {
      points += (points.empty() ? "" : ",") + crash::text_of(point);
    }
    std::printf("BROKEN: %s\n  repeat: crash_driver%s --seed %lu --point %s (threads take turns: --runs 50 tries it often)\n  the log: %s\n", broken.what(),
                request.brief ? " --brief" : "", count(request.seed), points.c_str(), broken.folder().c_str());
    return 1;
  }
  print(totals);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fprintf(stderr, "usage: %s [--runs N] [--sweep] [--seed S] [--point P[,P[,P]]] [--brief]\n", argv[0]);
    return 2;
  }
  try {
    return run(*options);
  } catch (const std::exception& error) {
    std::printf("BROKEN: %s (seed from %lu on)\n", error.what(), count(options->request.seed));
    return 1;
  }
}
