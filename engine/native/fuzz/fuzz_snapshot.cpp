// A good snapshot, damaged as the bytes say: as a file, where every damage must be noticed; and as a state inside a file
// whose sums are right, where loading either refuses or makes an engine that can be used, saved and loaded again.
#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../src/snapshot_file.hpp"
#include "check.hpp"
#include "exchange/bytes.hpp"
#include "exchange/snapshot.hpp"
#include "flow_support.hpp"

namespace {

using namespace exchange;
using Bytes = std::vector<std::uint8_t>;

Bytes saved(const Engine& engine) {
  Bytes made;
  engine.save([&made](std::span<const std::uint8_t> piece) { made.insert(made.end(), piece.begin(), piece.end()); });
  return made;
}

Engine sample_engine() {
  Engine engine(support::flow_config());
  for (const Command& command : support::flow(7, 150)) {
    (void)engine.apply(command);
  }
  return engine;
}

const Bytes& good_state() {
  static const Bytes kState = saved(sample_engine());
  return kState;
}

bool load(Engine& engine, const Bytes& state) {
  std::size_t at = 0;
  try {
    engine.load([&](std::span<std::uint8_t> to) {
      const std::size_t part = std::min(to.size(), state.size() - at);
      std::copy_n(state.begin() + static_cast<std::ptrdiff_t>(at), part, to.begin());
      at += part;
      return part;
    });
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

// Three bytes a change: where, and what instead. Some cut the end off.
void change(Bytes& bytes, ByteReader& from) {
  while (from.remaining() >= 4 && !bytes.empty()) {
    const std::size_t at = from.get<std::uint16_t>() % bytes.size();
    const auto what = from.get<std::uint8_t>();
    const auto value = from.get<std::uint8_t>();
    if (what == 0) {
      bytes.resize(at);
    } else {
      bytes[at] = value;
    }
  }
}

void use(Engine& engine) {
  for (const Command& command : support::flow(8, 60)) {
    (void)engine.apply(command);
  }
  Engine again(support::flow_config());
  CHECK(load(again, saved(engine)));
  CHECK(again.state_hash() == engine.state_hash());
}

void state_inside_right_sums(ByteReader& from) {
  Bytes state = good_state();
  change(state, from);
  Engine engine(support::flow_config());
  if (load(engine, state)) {
    use(engine);
  }
}

// Written and synced once; afterwards the bytes are enough.
const Bytes& good_file() {
  static const Bytes kFile = [] {
    const support::TempDir dir;
    std::ifstream in(write_snapshot(dir.path(), sample_engine(), {1, 2, 3}).path, std::ios::binary);
    return Bytes{std::istreambuf_iterator<char>(in), {}};
  }();
  return kFile;
}

void file(ByteReader& from) {
  const support::TempDir dir;
  Bytes bytes = good_file();
  change(bytes, from);
  std::filesystem::create_directory(snapshot_folder(dir.path()));
  std::ofstream(snapshot_folder(dir.path()) + "/00000000000000000150.snap", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  Engine engine(support::flow_config());
  std::vector<std::string> warnings;
  const auto info = load_newest_snapshot(dir.path(), support::flow_config(), engine, warnings);
  const bool good = bytes == good_file();
  CHECK(info.has_value() == good && warnings.empty() == good);
  CHECK(engine.last_seq_num() == (good ? 150 : 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) {
    return 0;
  }
  ByteReader from({data + 1, std::min<std::size_t>(size - 1, 64)});
  SnapshotHeader header;
  (void)decode_snapshot_header({data, size}, header);
  if (data[0] % 4 == 0) {
    file(from);
  } else if (data[0] % 4 == 1) {
    Engine engine(support::flow_config());
    (void)load(engine, Bytes(data + 1, data + size));
  } else {
    state_inside_right_sums(from);
  }
  return 0;
}
