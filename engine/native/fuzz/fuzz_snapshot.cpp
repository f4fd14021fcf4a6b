// A good snapshot, damaged as the bytes say: as a file or as a bare state, where every damage must be noticed; and as a
// state whose sums are right, where loading either refuses or makes an engine that can be used, saved and loaded again.
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
#include "saved_state.hpp"

namespace {

using namespace exchange;
using support::saved;
using Bytes = support::StateBytes;

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
  try {
    support::load(engine, state);
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

void with_right_sum(Bytes state) {
  support::make_sum_right(state);
  Engine engine(support::flow_config());
  if (load(engine, state)) {
    use(engine);
  }
}

Bytes changed_state(ByteReader& from) {
  Bytes state = good_state();
  change(state, from);
  return state;
}

void bare_state(const Bytes& state) {
  Engine engine(support::flow_config());
  CHECK(load(engine, state) == (state == good_state()));
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
    with_right_sum(Bytes(data + 1, data + size));
  } else if (data[0] % 4 == 2) {
    with_right_sum(changed_state(from));
  } else {
    bare_state(changed_state(from));
  }
  return 0;
}
