// The link's thread: frames in, inputs to the partitions, answers out.
//
// A round: read what is ready, route it, take from every partition the answers that may leave, send. It waits for
// nothing but its links and its bell. An input for all partitions becomes one answer, when the last of them has answered.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "exchange/codec.hpp"
#include "link_server.hpp"
#include "partition.hpp"

namespace exchange {

struct LinkRules {
  std::uint64_t epoch = 1;
  std::uint64_t instruments_digest = 0;
  std::string link_key;
};

class CoreLink final : private AnswerSink {
 public:
  CoreLink(LinkRules rules, std::vector<std::unique_ptr<Partition>>& partitions) : rules_(std::move(rules)), partitions_(partitions) {}

  [[nodiscard]] LinkServer& server() noexcept { return server_; }
  // Until stop(), or until a partition or a log fails. Then every partition is told to end, what may be answered is
  // answered, and all links are closed.
  void run() noexcept;
  // From any thread.
  void stop() noexcept;
  [[nodiscard]] bool running() const noexcept { return running_; }
  void set_running(bool running) noexcept { running_ = running; }
  [[nodiscard]] std::uint64_t links() const noexcept { return links_; }
  // Refusals that never came to a partition.
  [[nodiscard]] std::uint64_t rejects() const noexcept { return rejects_; }

 private:
  using Clock = std::chrono::steady_clock;

  // A command that went to every partition.
  struct Spread {
    LinkId link = 0;
    std::uint64_t request_id = 0;
    CommandKind kind = CommandKind::session;
    std::size_t missing = 0;
    bool untold = false;  // a part of the answer may not be told
    std::optional<Reply> merged;
  };

  [[nodiscard]] bool goes_on();
  void round();
  void drain();
  void route(const Inbound& inbound);
  void hello(LinkId link, const HelloFrame& frame);
  void hand_over(const Input& input);
  void spread(const Input& input);
  void refuse(const Input& input, RejectReason reason, std::int64_t value = 0, std::int64_t limit = 0);
  [[nodiscard]] bool release_all();
  [[nodiscard]] bool all_ended() const noexcept;

  void piece(const To& to, std::span<const std::uint8_t> bytes, bool last) override;
  void lost(const To& to, bool refused) override;
  void merge(std::uint64_t token, std::optional<Reply> part);

  LinkRules rules_;
  std::vector<std::unique_ptr<Partition>>& partitions_;
  LinkServer server_;
  std::vector<Inbound> inbound_;
  std::unordered_map<std::uint64_t, Spread> spreads_;  // by the token that stands for the request
  std::uint64_t next_token_ = 1;
  std::vector<std::uint8_t> spread_bytes_;
  std::optional<Clock::time_point> failed_at_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> running_{false};
  std::atomic<std::uint64_t> links_{0};
  std::atomic<std::uint64_t> rejects_{0};
};

}  // namespace exchange
