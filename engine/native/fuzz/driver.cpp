// usage: fuzz_<target> [--corpus DIR] [--iterations N] [--seed S] [--seconds T] [--crashes DIR] [FILE...]
//        fuzz_<target> --generate DIR      writes the corpus's seeds
// First every file of the corpus in the order of the names, then N inputs made from them and from the seed: the same
// numbers give the same run. --seconds: as many as that time allows instead. FILEs: these inputs and no others.
// An input that the target dies of is written to <crashes>/crash-<target>-<seed>-<number>, and told.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mutate.hpp"
#include "seeds.hpp"

extern const char* const fuzz_target;  // its name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// Of the sanitizers, where there are some.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using fuzz::Bytes;

constexpr unsigned kHangS = 60;

struct Options {
  std::string corpus;
  std::string crashes = ".";
  std::string generate;
  std::vector<std::string> files;
  std::uint64_t iterations = 0;
  std::uint64_t seed = 1;
  std::uint64_t seconds = 0;
};

// What is being tried now, for whoever has to tell of it from a signal: a copy of exactly its size, so that a sanitizer
// sees who reads behind it.
struct Current {
  const std::uint8_t* input = nullptr;
  std::size_t size = 0;
  std::array<char, 512> path{};
};
Current current;

void say(const char* text) { (void)!::write(STDERR_FILENO, text, std::strlen(text)); }

void keep_input() {
  const std::uint8_t* const input = std::exchange(current.input, nullptr);
  if (input == nullptr) {
    return;
  }
  const int fd = ::open(current.path.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool kept = fd >= 0 && ::write(fd, input, current.size) == static_cast<ssize_t>(current.size);
  say(kept ? "\nthe input is in " : "\nthe input could not be written to ");
  say(current.path.data());
  say("; give this program the file to see it again\n");
}

void on_signal(int number) {
  if (number == SIGALRM) {
    say("\nthis input takes more than a minute\n");
  }
  keep_input();
  (void)std::signal(number, SIG_DFL);
  (void)::raise(number == SIGALRM ? SIGABRT : number);
}

void watch() {
  for (const int number : {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    const bool the_sanitizers = &__sanitizer_set_death_callback != nullptr && number != SIGABRT && number != SIGALRM;
    if (!the_sanitizers) {
      (void)std::signal(number, on_signal);
    }
  }
  if (&__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(keep_input);
  }
}

void try_input(const Bytes& input, const Options& options, std::uint64_t number) {
  (void)std::snprintf(current.path.data(), current.path.size(), "%s/crash-%s-%llu-%llu", options.crashes.c_str(), fuzz_target,
                      static_cast<unsigned long long>(options.seed), static_cast<unsigned long long>(number));
  const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[input.size()]);
  std::copy(input.begin(), input.end(), exact.get());
  current.input = exact.get();
  current.size = input.size();
  (void)::alarm(kHangS);
  (void)LLVMFuzzerTestOneInput(exact.get(), input.size());
  (void)::alarm(0);
  current.input = nullptr;
}

std::optional<Bytes> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "%s cannot be read\n", path.c_str());
    return std::nullopt;
  }
  return Bytes{std::istreambuf_iterator<char>(in), {}};
}

int generate(const std::string& dir) {
  std::filesystem::create_directories(dir);
  const auto seeds = fuzz::seeds_of(fuzz_target);
  for (const fuzz::Seed& seed : seeds) {
    std::ofstream(dir + "/" + seed.name + ".bin", std::ios::binary)
        .write(reinterpret_cast<const char*>(seed.bytes.data()), static_cast<std::streamsize>(seed.bytes.size()));
  }
  std::printf("%zu seeds\n", seeds.size());
  return seeds.empty() ? 1 : 0;
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name.rfind("--", 0) != 0) {
      options.files.push_back(name);
      continue;
    }
    if (++i == argc) {
      return std::nullopt;
    }
    if (name == "--corpus" || name == "--crashes" || name == "--generate") {
      (name == "--corpus" ? options.corpus : name == "--crashes" ? options.crashes : options.generate) = argv[i];
    } else if (name == "--iterations" || name == "--seed" || name == "--seconds") {
      (name == "--iterations" ? options.iterations : name == "--seed" ? options.seed : options.seconds) = std::strtoull(argv[i], nullptr, 10);
    } else {
      return std::nullopt;
    }
  }
  return options;
}

std::vector<std::string> files_in(const std::string& dir) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

int run(const Options& options) {
  std::vector<Bytes> corpus;
  for (const std::string& path : options.corpus.empty() ? options.files : files_in(options.corpus)) {
    auto bytes = read_file(path);
    if (!bytes) {
      return 2;
    }
    try_input(*bytes, options, corpus.size());
    corpus.push_back(std::move(*bytes));
  }
  std::uint64_t number = corpus.size();
  support::Random random(options.seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds);
  const std::uint64_t last = options.seconds > 0 ? ~std::uint64_t{0} : number + options.iterations;
  while (number < last && (options.seconds == 0 || number % 16 != 0 || std::chrono::steady_clock::now() < end)) {
    try_input(fuzz::next_input(corpus, random), options, number);
    ++number;
  }
  std::printf("%zu files, %llu inputs made from them\n", corpus.size(), static_cast<unsigned long long>(number - corpus.size()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fprintf(stderr, "usage: %s [--corpus DIR] [--iterations N] [--seed S] [--seconds T] [--crashes DIR] [FILE...] | --generate DIR\n", argv[0]);
    return 2;
  }
  try {
    if (!options->generate.empty()) {
      return generate(options->generate);
    }
    watch();
    return run(*options);
  } catch (const std::filesystem::filesystem_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
