// exchange_bench: one measurement a call, its figures as JSON on stdout. tests/bench/part_engine.py runs it, and
// docs/bench.md says what each figure means.
#include <array>
#include <charconv>
#include <cstring>
#include <exception>
#include <optional>
#include <stdexcept>

#include "program.hpp"

namespace {

struct Measurement {
  std::string_view name;
  bench::Json (*run)(const bench::Options&);
  std::string_view what;
};

constexpr std::array kMeasurements{
    Measurement{"one_book", &bench::one_book, "operations/s on one warm book, beside a std::map book"},
    Measurement{"many_books", &bench::many_books, "the same on 10,000 instruments with a million live orders"},
    Measurement{"risk", &bench::risk, "ns an order with all checks on and off"},
    Measurement{"path", &bench::path, "order bytes to report bytes, closed loop, beside a handler that does nothing"},
    Measurement{"open", &bench::open_loop, "the same from scheduled arrival at --rate"},
    Measurement{"device", &bench::device, "the same, confirmed by the device, at --rate; needs --dir"},
    Measurement{"disk", &bench::disk, "one 4 KiB O_DIRECT|O_DSYNC write after another; needs --dir"},
    Measurement{"replay", &bench::replay, "records/s of a log of 5 million; needs --dir"},
    Measurement{"restart", &bench::restart, "snapshot of a million orders and a tail, to ready; needs --dir"},
    Measurement{"memory", &bench::memory, "resident bytes an order and an instrument"},
    Measurement{"flows", &bench::write_flows, "writes the flows for peers into --dir"},
};

int usage() {
  std::fprintf(stderr, "usage: exchange_bench MEASUREMENT [--runs N] [--rate N] [--dir DIR] [--save DIR] [--cl-ord-ids] [--small]\n");
  for (const Measurement& one : kMeasurements) {
    std::fprintf(stderr, "  %-11.*s %.*s\n", static_cast<int>(one.name.size()), one.name.data(), static_cast<int>(one.what.size()),
                 one.what.data());
  }
  return 2;
}

template <typename Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number > 0;
}

// Nothing when a word is not understood.
std::optional<bench::Options> parse_options(int count, char** words) {
  bench::Options options;
  for (int i = 2; i < count; ++i) {
    const std::string_view word = words[i];
    const std::string_view value = i + 1 < count ? words[i + 1] : "";
    bool good = true;
    if (word == "--cl-ord-ids") {
      options.cl_ord_ids = true;
      continue;
    }
    if (word == "--small") {
      options.small = true;
      continue;
    }
    if (word == "--runs") {
      good = parse(value, options.runs);
    } else if (word == "--rate") {
      good = parse(value, options.rate);
    } else if (word == "--dir") {
      options.dir = value;
    } else if (word == "--save") {
      options.save = value;
    } else {
      good = false;
    }
    if (!good || value.empty()) {
      return std::nullopt;
    }
    ++i;
  }
  return options;
}

}  // namespace

int main(int count, char** words) {
  const std::string_view wanted = count > 1 ? words[1] : "";
  const std::optional<bench::Options> options = parse_options(count, words);
  for (const Measurement& one : kMeasurements) {
    if (one.name == wanted && options) {
      try {
        std::printf("%s\n", one.run(*options).text().c_str());
        return 0;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "exchange_bench %s: %s\n", words[1], error.what());
        return 1;
      }
    }
  }
  return usage();
}
