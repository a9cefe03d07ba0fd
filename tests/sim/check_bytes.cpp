// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/check_bytes.hpp"

#include <algorithm>
#include <utility>

namespace rideau::sim {
namespace {

constexpr Tick kNever = ~Tick{0};

void apply_to(std::string& contents, const DataOp& op) {
  if (op.call == DataCall::truncate) {
    contents.resize(op.size, '\0');
    return;
  }
  const bool grows = op.call == DataCall::write && contents.size() < op.offset + op.size;
  if (grows) contents.resize(op.offset + op.size, '\0');
  for (std::uint64_t i = 0; i < op.size && op.offset + i < contents.size(); ++i) {
    contents[op.offset + i] = static_cast<char>(stamp_byte(op.stamp, op.offset + i));
  }
}

bool is_change(const DataOp& op) { return has_bytes(op.call) || op.call == DataCall::truncate; }

// The bytes of a read against the states it may have met.
std::string check_read(const DataOp& read, const std::vector<std::string>& states, bool cut_meanwhile) {
  const auto visible = [&read](const std::string& state) {
    return state.size() > read.offset ? std::min<std::uint64_t>(read.size, state.size() - read.offset) : 0;
  };
  std::uint64_t shortest = ~0ull;
  std::uint64_t longest = 0;
  bool exact = false;
  for (const std::string& state : states) {
    const std::uint64_t size = visible(state);
    shortest = std::min(shortest, size);
    longest = std::max(longest, size);
    exact = exact || size == read.bytes.size();
  }
  // A read beside a truncate may stop in between, where the kernel looked at size and pages at different times. So may
  // one that goes on over several requests beside writes that let the file grow.
  const bool between = read.bytes.size() >= shortest && read.bytes.size() <= longest;
  if (read.call == DataCall::read && !exact && !(states.size() > 1 && between)) {
    return to_text(read) + ": the size of what was read fits no state (expected " + std::to_string(shortest) + " to " +
           std::to_string(longest) + ")";
  }
  for (std::uint64_t i = 0; i < read.bytes.size(); ++i) {
    const char byte = read.bytes[i];
    const bool fits =
        (cut_meanwhile && byte == '\0') || std::any_of(states.begin(), states.end(), [&](const std::string& state) {
          if (read.offset + i >= state.size()) return read.call == DataCall::load && byte == '\0';
          return state[read.offset + i] == byte;
        });
    if (fits) continue;
    std::string text = to_text(read) + ": byte " + std::to_string(read.offset + i) + " is " +
                       std::to_string(static_cast<unsigned char>(byte)) + ", the states have";
    for (const std::string& state : states) {
      text += read.offset + i < state.size() ? " " + std::to_string(static_cast<unsigned char>(state[read.offset + i]))
                                             : std::string(" none");
    }
    return text;
  }
  return {};
}

// A change, and when it may be found gone: in [doubtful_from, certain_from).
struct Change {
  const DataOp* op;
  Tick doubtful_from = kNever;
  Tick certain_from = 0;
  bool doubtful(const DataOp& read) const {
    return doubtful_from != kNever && read.returned > doubtful_from && read.invoked < certain_from;
  }
};

std::string mount_of(const std::string& who) { return who.substr(0, who.find('.')); }

bool is_of(const std::string& who, const std::string& mount) {
  return mount.empty() || who == mount || who.starts_with(mount + ".");
}

// The fsync that made a change durable for certain: the first one that began after it and succeeded, unless the writer
// heard of an error before. kNever: there is none.
Tick secured_at(const DataOp& change, const std::vector<DataOp>& ops) {
  if (change.returned == 0 || change.error != 0) return kNever;
  for (const DataOp& op : ops) {
    if (op.who != change.who || op.invoked < change.returned) continue;
    if (op.error != 0 && !is_look(op.call)) return kNever;
    if (op.call == DataCall::sync && op.returned != 0) return op.returned;
  }
  return kNever;
}

// Whether, and when, the writer heard that something was lost that he had not secured.
Tick told_at(const DataOp& change, const std::vector<DataOp>& ops, Tick secured) {
  for (const DataOp& op : ops) {
    const bool tells = op.error != 0 && !is_look(op.call);
    if (tells && op.who == change.who && op.invoked >= change.invoked && op.invoked < secured) return op.invoked;
  }
  return kNever;
}

// Whether its writer closed the file after it, before that moment.
bool closed_between(const DataOp& change, const std::vector<DataOp>& ops, Tick until) {
  return std::any_of(ops.begin(), ops.end(), [&](const DataOp& op) {
    return op.call == DataCall::close && op.who == change.who && op.invoked > change.invoked && op.invoked < until;
  });
}

Change judge(const DataOp& op, const std::vector<DataOp>& ops, const std::vector<Loss>& losses) {
  Change change{&op};
  const Tick secured = secured_at(op, ops);
  const bool unsecured = secured == kNever;
  change.certain_from = secured;
  if (unsecured && (op.error != 0 || told_at(op, ops, secured) != kNever)) change.doubtful_from = op.invoked;
  for (const Loss& loss : losses) {
    const Tick until = std::max(loss.tick, loss.until);
    if (!is_of(op.who, loss.mount) || op.invoked > until || loss.tick > secured) continue;
    // Nobody makes good what a client lost with its session, and nobody hears of what was lost of a file that he had
    // closed.
    const bool told = loss.mount.empty() && !closed_between(op, ops, until);
    if (!told) change.certain_from = kNever;
    change.doubtful_from = std::min(change.doubtful_from, loss.before ? op.invoked : std::max(op.invoked, loss.tick));
  }
  return change;
}

// What a read may have met where some changes may be gone: for each byte the newest change that certainly was there,
// and every one after it, or zeros.
class DoubtfulFile {
 public:
  DoubtfulFile(const DataOp& read, const std::vector<Change>& changes) : read_(read) {
    for (const Change& change : changes) {
      if (change.op->invoked < read.returned) changes_.push_back({change.op, is_sure(change)});
    }
  }

  // The least and the greatest size.
  std::pair<std::uint64_t, std::uint64_t> sizes() const {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    for (const auto& [op, sure] : changes_) {
      if (op->call == DataCall::store) continue;
      const std::uint64_t end = op->call == DataCall::truncate ? op->size : op->offset + op->size;
      const bool cuts = op->call == DataCall::truncate;
      low = cuts ? (sure ? end : std::min(low, end)) : (sure ? std::max(low, end) : low);
      high = cuts && sure ? end : std::max(high, end);
    }
    return {low, high};
  }

  bool may_be(std::uint64_t offset, char byte) const {
    bool doubt = false;
    for (auto at = changes_.rbegin(); at != changes_.rend(); ++at) {
      const auto& [op, sure] = *at;
      const bool cuts = op->call == DataCall::truncate;
      const bool touches = cuts ? offset >= op->size : offset >= op->offset && offset < op->offset + op->size;
      if (!touches) continue;
      const char is = cuts ? '\0' : static_cast<char>(stamp_byte(op->stamp, offset));
      if (byte == is) return true;
      if (sure) return doubt && byte == '\0';
      doubt = true;
    }
    return byte == '\0';
  }

 private:
  bool is_sure(const Change& change) const {
    return change.op->returned != 0 && change.op->returned < read_.invoked && !change.doubtful(read_);
  }
  const DataOp& read_;
  std::vector<std::pair<const DataOp*, bool>> changes_;
};

std::string check_doubtful(const DataOp& read, const std::vector<Change>& changes) {
  const DoubtfulFile file(read, changes);
  const auto [low, high] = file.sizes();
  const std::uint64_t end = read.call == DataCall::size ? read.size : read.offset + read.bytes.size();
  const bool asked_for_more = read.call == DataCall::size || read.bytes.size() < read.size;
  const bool nothing = read.call == DataCall::read && read.bytes.empty();
  const bool tells_size = read.call != DataCall::load;
  const bool too_long = tells_size && !nothing && end > high;
  const bool too_short = tells_size && asked_for_more && (nothing ? read.offset < low : end < low);
  if (too_long || too_short) {
    return to_text(read) + ": no state has that size, also with what may be lost (expected " + std::to_string(low) +
           " to " + std::to_string(high) + ")";
  }
  for (std::uint64_t i = 0; i < read.bytes.size(); ++i) {
    if (file.may_be(read.offset + i, read.bytes[i])) continue;
    return to_text(read) + ": byte " + std::to_string(read.offset + i) + " is " +
           std::to_string(static_cast<unsigned char>(read.bytes[i])) + ", which no state has that may be there";
  }
  return {};
}

// The changes of a file that several write at once, as one read may have met them.
class SharedFile {
 public:
  SharedFile(const DataOp& read, const std::vector<Change>& changes) : read_(read) {
    for (const Change& change : changes) {
      if (change.op->invoked < read.returned) changes_.push_back({change.op, is_sure(change)});
    }
  }

  bool may_be(std::uint64_t offset, char byte) const {
    bool untouched = true;  // nothing that is certain has happened here
    for (const auto& [op, known] : changes_) {
      if (!touches(*op, offset)) continue;
      const bool sure = known && !may_be_behind_end(*op, offset);
      const char is = op->call == DataCall::truncate ? '\0' : static_cast<char>(stamp_byte(op->stamp, offset));
      if ((byte == is || (!sure && byte == '\0')) && !is_followed(*op, offset)) return true;
      untouched = untouched && !sure;
    }
    return byte == '\0' && untouched;
  }

  // The least and the greatest size.
  std::pair<std::uint64_t, std::uint64_t> sizes() const {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    for (const auto& [op, sure] : changes_) {
      if (op->call == DataCall::store) continue;
      const std::uint64_t end = op->call == DataCall::truncate ? op->size : op->offset + op->size;
      const auto cuts = [&, of = op](const auto& other) {
        const bool after = other.first->returned == 0 || other.first->error != 0 || other.first->returned > of->invoked;
        return other.first != of && other.first->call == DataCall::truncate && other.first->size < end && after;
      };
      if (sure && std::none_of(changes_.begin(), changes_.end(), cuts)) low = std::max(low, end);
      const auto has_cut = [&, of = op](const auto& other) {
        return other.second && other.first->call == DataCall::truncate && other.first->size < end &&
               ended_before(*of, *other.first);
      };
      if (std::none_of(changes_.begin(), changes_.end(), has_cut)) high = std::max(high, end);
    }
    return {low, high};
  }

 private:
  static bool touches(const DataOp& op, std::uint64_t offset) {
    if (op.call == DataCall::truncate) return offset >= op.size;
    return offset >= op.offset && offset < op.offset + op.size;
  }
  static bool ended_before(const DataOp& first, const DataOp& second) {
    return first.returned != 0 && first.error == 0 && first.returned < second.invoked;
  }
  // A store goes nowhere behind the end of a file that was cut before, of which its kernel need not know yet.
  bool may_be_behind_end(const DataOp& op, std::uint64_t offset) const {
    if (op.call != DataCall::store) return false;
    return std::any_of(changes_.begin(), changes_.end(), [&](const auto& other) {
      const DataOp& cut = *other.first;
      return cut.call == DataCall::truncate && cut.size <= offset && cut.invoked < op.returned;
    });
  }
  bool is_followed(const DataOp& op, std::uint64_t offset) const {
    return std::any_of(changes_.begin(), changes_.end(), [&](const auto& other) {
      return other.second && !may_be_behind_end(*other.first, offset) && touches(*other.first, offset) &&
             ended_before(op, *other.first);
    });
  }
  // It was there when the read began.
  bool is_sure(const Change& change) const {
    return change.op->error == 0 && ended_before(*change.op, read_) && !change.doubtful(read_);
  }
  const DataOp& read_;
  std::vector<std::pair<const DataOp*, bool>> changes_;
};

}  // namespace

std::string check_shared_bytes(std::vector<DataOp> ops, const std::vector<Loss>& losses) {
  std::sort(ops.begin(), ops.end(), [](const DataOp& a, const DataOp& b) { return a.invoked < b.invoked; });
  std::vector<Change> changes;
  for (const DataOp& op : ops) {
    if (is_change(op)) changes.push_back(judge(op, ops, losses));
  }
  for (const DataOp& read : ops) {
    if (!is_look(read.call) || read.returned == 0 || read.error != 0) continue;
    const SharedFile file(read, changes);
    const auto [low, high] = file.sizes();
    const std::uint64_t end = read.call == DataCall::size ? read.size : read.offset + read.bytes.size();
    const bool asked_for_more = read.call == DataCall::size || read.bytes.size() < read.size;
    const bool nothing = read.call == DataCall::read && read.bytes.empty();
    // A kernel does not believe what it is told of a size while a write of its own is under way: the read may end where
    // it thought the end was.
    const bool may_be_short = read.call == DataCall::read && std::any_of(ops.begin(), ops.end(), [&](const DataOp& op) {
                                return is_change(op) && mount_of(op.who) == mount_of(read.who) &&
                                       op.invoked < read.returned && (op.returned == 0 || op.returned > read.invoked);
                              });
    const bool short_of = asked_for_more && !may_be_short && (nothing ? read.offset < low : end < low);
    if (read.call != DataCall::load && ((!nothing && end > high) || short_of)) {
      return to_text(read) + ": that size was never there (expected " + std::to_string(low) + " to " +
             std::to_string(high) + ")";
    }
    for (std::uint64_t i = 0; i < read.bytes.size(); ++i) {
      if (file.may_be(read.offset + i, read.bytes[i])) continue;
      return to_text(read) + ": byte " + std::to_string(read.offset + i) + " is " +
             std::to_string(static_cast<unsigned char>(read.bytes[i])) + ", which nobody left there";
    }
  }
  return {};
}

std::string check_bytes(std::vector<DataOp> ops, const std::vector<Loss>& losses) {
  std::sort(ops.begin(), ops.end(), [](const DataOp& a, const DataOp& b) { return a.invoked < b.invoked; });
  std::vector<DataOp> changes;
  std::copy_if(ops.begin(), ops.end(), std::back_inserter(changes), is_change);
  std::vector<Change> judged;
  for (const DataOp& change : changes) judged.push_back(judge(change, ops, losses));
  std::string base;  // the state after the first `applied` changes
  std::size_t applied = 0;
  // Reads in the order of their calls: what had returned before one had returned before all later ones.
  for (const DataOp& read : ops) {
    if (!is_look(read.call) || read.returned == 0 || read.error != 0) continue;
    const auto in_doubt = [&read](const Change& change) {
      return change.op->invoked < read.returned && change.doubtful(read);
    };
    if (std::any_of(judged.begin(), judged.end(), in_doubt)) {
      std::string wrong = check_doubtful(read, judged);
      if (!wrong.empty()) return wrong;
      continue;
    }
    while (applied < changes.size() && changes[applied].returned != 0 && changes[applied].returned < read.invoked) {
      apply_to(base, changes[applied++]);
    }
    std::vector<std::string> states{base};
    bool cut_meanwhile = false;
    for (std::size_t i = applied; i < changes.size() && changes[i].invoked < read.returned; ++i) {
      cut_meanwhile = cut_meanwhile || changes[i].call == DataCall::truncate;
      states.push_back(states.back());
      apply_to(states.back(), changes[i]);
    }
    if (read.call == DataCall::size) {
      const auto fits = [&read](const std::string& state) { return state.size() == read.size; };
      // A large write is several requests, and its size may be seen to grow.
      const auto [low, high] = std::minmax_element(states.begin(), states.end(),
                                                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
      const bool between = states.size() > 1 && read.size >= low->size() && read.size <= high->size();
      if (std::any_of(states.begin(), states.end(), fits) || between) continue;
      return to_text(read) + ": no state has that size (expected " + std::to_string(low->size()) + " to " +
             std::to_string(high->size()) + ")";
    }
    std::string wrong = check_read(read, states, cut_meanwhile);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace rideau::sim
