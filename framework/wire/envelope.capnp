# SPDX-License-Identifier: Apache-2.0
# The head of every message: who calls what, and how it ended. The body, a Cap'n Proto message of its own whose type the
# method names, follows it directly; the framework never looks into it.
#
# Version rule: fields are only ever appended, and a receiver treats an absent field as its default. What cannot be said
# that way raises protocolMin in Hello and Welcome.
@0xb7c1d6a5f0e34a91;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("rideau::wire::schema");

enum Kind {
  hello @0;           # client to server, first message on a link
  welcome @1;         # the answer; from here on the session is up
  refusal @2;         # the answer when it is not; the link closes
  call @3;
  reply @4;
  callback @5;        # server to client
  callbackReply @6;
  ping @7;            # "I live"; answered with a pong
  pong @8;
  goodbye @9;         # the client ends its session in order
}

struct Region {       # memory of the sender that the receiver may pull from or push to
  key @0 :Data;
  size @1 :UInt64;    # bytes
}

struct Envelope {
  kind @0 :Kind;
  method @1 :UInt16;
  flags @2 :UInt32;           # bit 0: the call modifies; bit 1: this is a resend; bit 2: payloadChecksum is set;
                              # bit 3: answered before, and perhaps lost with a restart: the payload is that answer
  slot @3 :UInt32;
  sequence @4 :UInt64;        # of the slot, from 1; of callbacks: their number
  traceId @5 :UInt64;         # joins everything that one request of a user causes, on all nodes
  deadlineMs @6 :UInt32;      # time left when sent; 0: none
  status @7 :Int32;           # of replies: rideau::Code
  osError @8 :Int32;          # of replies: errno
  transaction @9 :UInt64;     # of replies: the number of the change, 0 for none; of replayed calls: the number it had
  durable @10 :UInt64;        # of replies: every transaction up to this one survives a power cut
  payloadBytes @11 :UInt64;   # that come with this message, eager or through `source`
  payloadChecksum @12 :UInt32;  # crc32c of the payload
  room @13 :UInt64;           # of calls: bytes of payload the caller takes with the reply
  source @14 :Region;         # of calls: the payload lies here, pull it; absent: it is eager
  sink @15 :Region;           # of calls: push the reply's payload here; absent: send it eager
}

struct Hello {
  protocolMin @0 :UInt32;     # versions that the sender speaks
  protocolMax @1 :UInt32;
  cluster @2 :Data;           # UUID, 16 bytes
  target @3 :UInt32;          # the target that the client means to talk to
  client @4 :Data;            # UUID of the client, 16 bytes, new with every mount
  clientName @5 :Text;        # for people
  session @6 :UInt64;         # to resume; 0: a new one
  bootEpoch @7 :UInt64;       # of the target, as the client knows it; 0: not yet
  slots @8 :UInt32;           # that the client can use
  lockSessions @9 :List(LockSession);  # under whose locks the client works
  clientTimeNs @10 :Int64;    # clock of the client, for people who look at both
}

struct LockSession {          # a session of the client at another target, which keeps locks
  target @0 :UInt32;
  session @1 :UInt64;
}

struct Welcome {
  protocol @0 :UInt32;        # the version spoken from here on
  session @1 :UInt64;
  bootEpoch @2 :UInt64;       # grows with each start of the target
  target @3 :UInt32;
  slots @4 :UInt32;
  resumed @5 :Bool;           # the session was known: slots go on where they were (also with a bootEpoch that is
                              # new: then the client claims again what it holds, before anything else)
  serverTimeNs @6 :Int64;     # clock of the target, for the session's time offset
  leaseMs @7 :UInt32;         # a session without a link lives this long
  durable @8 :UInt64;
  eagerBytesMax @9 :UInt32;   # that the server takes with one call
  version @10 :Text;          # of the server's software, for people
  keptFrom @11 :UInt64;       # what was answered in this boot epoch and later ones is all there, durable or not
}

struct Refusal {
  reason @0 :Text;            # for people: what failed, on which object, what to do
  code @1 :Int32;             # rideau::Code
}
