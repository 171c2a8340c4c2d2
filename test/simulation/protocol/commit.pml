/*
 * The commit to a store that compares, as src/store/conditional-write.ts and src/store/compare-and-set-strategy.ts make it: two writers with three writes each,
 * and one answer each that is lost. A write whose answer is lost may happen, may happen later, or never. Or the client library sends it
 * twice, and the answer is that to the second time. A writer starts from what the store holds, or held at any time before.
 *
 * The store keeps the ids of its last three commits: fewer than there are writes, so that the history is too short at times.
 *
 * With TRACE the same transitions are followed along a trace of the simulator, which trace.h reads: each step has to be the next one of the trace.
 * There the store keeps eight ids, as it does in the sources; with SHORT three.
 */
#ifdef TRACE
c_decl { \#include "trace.h" }
#define MOST_VERSIONS 256
#define MOST_WRITES 256
#define COPIES 64
#define WRITES 255
#define LOSSES 255
#define ID short
#ifdef SHORT
#define NAMES(it) NAMES3(it)
#else
#define NAMES(it) (NAMES3(it) || IS(3, it) || IS(4, it) || IS(5, it) || IS(6, it) || IS(7, it))
#endif
/* The next step of the trace is this one, of this writer. */
#define NEXT trace[now.position]
/* The next step of the trace is one of this writer, and is about the same commit or write, or another one: so it does not choose before that. */
#define SAME_COMMIT c_expr { NEXT.who == Pwriter->me && NEXT.kind < ARRIVES && NEXT.id == Pwriter->id }
#define SAME_WRITE c_expr { NEXT.who == Pwriter->me && NEXT.kind == PROPOSES && NEXT.number == Pwriter->number }
#define OTHER_WRITE c_expr { NEXT.who == Pwriter->me && NEXT.kind == PROPOSES && NEXT.number != Pwriter->number }
#define STEP(step) c_expr { NEXT.kind == step && NEXT.who == Pwriter->me }
#define NUMBER c_code { Pwriter->number = NEXT.number; Pwriter->id = NEXT.id; }
#define COPY c_code { Pwriter->copy = NEXT.copy; }
#define SAME_BASE c_expr { NEXT.base == Pwriter->base }
/* The server and the client of the trace say the same. */
#define SAME_RESULT c_expr { NEXT.written == Pwriter->written }
#define DONE c_code { advance(now.position++); }
#else
#define MOST_VERSIONS 7
#define MOST_WRITES 7
#define COPIES 2
#define WRITES 3
#define LOSSES 1
#define ID byte
#define NAMES(it) NAMES3(it)
#define SAME_COMMIT true
#define SAME_WRITE true
#define OTHER_WRITE true
#define STEP(step) true
#define NUMBER number = me * 3 + done; id = number * 16 + tries
#define COPY copy = me
#define SAME_BASE true
#define SAME_RESULT true
#define DONE skip
#endif

#define FIRST 255

byte version;               /* names exactly what the store holds, as an etag does */
ID commits[MOST_VERSIONS];  /* by version: the commit that led to it */
byte times[MOST_WRITES];    /* by write: how often it was done */
#ifdef TRACE
int position;
#endif

typedef Copy { bool there; byte expected; ID id; byte number }
Copy late[COPIES];

/* Compares and sets, in one step. */
inline commit(expectedVersion, commitId, writeNumber, isWritten) {
  if
  :: version == expectedVersion ->
    assert(times[writeNumber] == 0);
    times[writeNumber]++;
    version++;
    commits[version] = commitId;
    isWritten = true
  :: else -> isWritten = false
  fi
}

/* Does what the store held when it answered name that commit? */
#define IS(age, it) (seen >= age && commits[seen - age] == it)
#define NAMES3(it) (IS(0, it) || IS(1, it) || IS(2, it))

#ifdef NO_INCLUDES
#define IS_NAMED(it) false
#else
#define IS_NAMED(it) NAMES(it)
#endif

#ifdef NO_COVERS
#define IS_UNKNOWN false
#else
#define IS_UNKNOWN (isIndeterminate && !NAMES(commits[base]))
#endif

/* From what it saw last; or from something newer that its process has read meanwhile. */
inline start() {
#ifdef TRACE
  c_expr { NEXT.base == Pwriter->base || (NEXT.isKnown && NEXT.base > Pwriter->base && NEXT.base <= now.version) };
  c_code { Pwriter->base = NEXT.base; }
#else
  if
  :: base = version
  :: skip
  fi
#endif
}

/* So that states which differ in nothing else are one. */
inline finish() {
  seen = 0;
  id = 0;
  number = 0;
  tries = 0;
  copy = 0;
  written = false;
  isIndeterminate = false
}

proctype writer(byte me) {
  byte done, number, tries, losses = LOSSES;
  byte base, seen, copy;
  ID id;
  bool written, isIndeterminate;

begin:
  if
  :: done == WRITES -> goto end
  :: atomic { done < WRITES && STEP(PROPOSES) -> done++; start() }
  fi;
proposal:
  atomic {
    STEP(PROPOSES) && SAME_BASE -> tries++; NUMBER; isIndeterminate = false; DONE;
    goto send
  };
resend:
  atomic {
    SAME_COMMIT;
send:
    if
    :: STEP(ANSWERED) && SAME_COMMIT ->
      commit(base, id, number, written);
      seen = version;
      SAME_RESULT;
      DONE;
      goto judge
    :: losses > 0 && STEP(TWICE) && SAME_COMMIT ->
      losses--;
      commit(base, id, number, written);
      commit(base, id, number, written);
      seen = version;
      isIndeterminate = true;
      SAME_RESULT;
      DONE;
      goto judge
    :: losses > 0 && STEP(LOST) && SAME_COMMIT ->
      losses--;
      COPY;
      late[copy].there = true;
      late[copy].expected = base;
      late[copy].id = id;
      late[copy].number = number;
      isIndeterminate = true;
      DONE;
      goto lost
    fi
  };
lost:
  if
#ifdef NEW_ID
  :: SAME_WRITE -> goto proposal
#else
  :: SAME_COMMIT -> goto resend
#endif
  :: atomic { OTHER_WRITE -> finish(); goto begin } /* it gives up, and acknowledges nothing */
  fi;
  atomic {
    skip;
judge:
    if
    :: (written || IS_NAMED(id)) && STEP(WRITTEN) && SAME_COMMIT -> assert(times[number] == 1); base = seen; DONE; finish(); goto begin
    :: !written && !IS_NAMED(id) && IS_UNKNOWN && STEP(UNKNOWN) && SAME_COMMIT -> base = seen; DONE; finish(); goto begin
    :: !written && !IS_NAMED(id) && !(IS_UNKNOWN) && STEP(REFUSED) && SAME_COMMIT -> base = seen; DONE; goto refused
    fi
  };
refused:
  if
  :: SAME_WRITE -> goto proposal
  :: atomic { OTHER_WRITE -> finish(); goto begin }
  fi;
end:
  skip
}

inline forget(which) {
  late[which].there = false;
  late[which].expected = 0;
  late[which].id = 0;
  late[which].number = 0;
  written = false
}

/* What was lost on the way arrives after all, perhaps more than once. */
proctype network(byte copy) {
  bool written;
end:
  do
#ifdef TRACE
  :: atomic {
      c_expr { NEXT.kind == ARRIVES } ->
      c_code { Pnetwork->copy = NEXT.copy; };
      late[copy].there;
      commit(late[copy].expected, late[copy].id, late[copy].number, written);
      c_expr { NEXT.written == Pnetwork->written };
      DONE
    }
  :: atomic { c_expr { NEXT.kind == LEARNS && NEXT.base <= now.version } -> DONE }
#else
  :: late[copy].there -> atomic { commit(late[copy].expected, late[copy].id, late[copy].number, written); forget(copy) }
#endif
  od
}

init {
#ifdef TRACE
  byte next;
#endif
  atomic {
    commits[0] = FIRST;
#ifdef TRACE
    c_code { read_trace(); };
    do
    :: c_expr { Pinit->next < writers } -> run writer(next); next++
    :: else -> break
    od;
    run network(0)
#else
    run writer(0);
    run writer(1);
    run network(0);
    run network(1)
#endif
  }
}
