/*
 * The commit to a store that compares, as src/store/conditional-write.ts and src/store/cas-commit.ts make it: two writers with three writes each,
 * and one answer each that is lost. A write that is lost may happen, may happen later, or never. Or the client library sends it twice, and
 * the answer is that to the second time.
 *
 * The store keeps the ids of its last KEPT commits. Here they are fewer than there are writes, so that the history is too short at times.
 */
#define KEPT 3
#define FIRST 255

byte version;             /* names exactly what the store holds, as an etag does */
byte history[KEPT];       /* the newest first */
byte times[7];            /* by write: how often it was done */

typedef Copy { bool there; byte expected; byte id; byte number }
Copy late[2];

/* Compares and sets, in one step. */
inline commit(expectedVersion, commitId, writeNumber, isWritten) {
  if
  :: version == expectedVersion ->
    assert(times[writeNumber] == 0);
    times[writeNumber]++;
    version++;
    history[2] = history[1];
    history[1] = history[0];
    history[0] = commitId;
    isWritten = true
  :: else -> isWritten = false
  fi
}

#define NAMES(it) (seen[0] == it || seen[1] == it || seen[2] == it)

#ifdef NO_INCLUDES
#define IS_NAMED(it) false
#else
#define IS_NAMED(it) NAMES(it)
#endif

#ifdef NO_COVERS
#define IS_UNKNOWN false
#else
#define IS_UNKNOWN (isIndeterminate && !NAMES(baseId))
#endif

inline see() {
  seenVersion = version;
  seen[0] = history[0];
  seen[1] = history[1];
  seen[2] = history[2]
}

/* So that states which differ in nothing else are one. */
inline forget() {
  seenVersion = 0;
  seen[0] = 0;
  seen[1] = 0;
  seen[2] = 0
}

proctype writer(byte me) {
  byte done, number, id, tries, losses = 1;
  byte base, baseId = FIRST;
  byte seenVersion;
  byte seen[KEPT];
  bool written, isIndeterminate, isAnswered;

  do
  :: done == 3 -> break
  :: done < 3 ->
    done++;
    number = me * 3 + done;
    tries = 0;
proposal:
    atomic { tries++; id = number * 16 + tries; isIndeterminate = false; written = false; forget() }
send:
    if
    :: true ->
      atomic {
        commit(base, id, number, written);
        see();
        isAnswered = true
      }
    :: losses > 0 ->
      losses--;
      isAnswered = false;
      if
      :: true -> atomic { commit(base, id, number, written) }
      :: skip
      :: atomic { late[me].there = true; late[me].expected = base; late[me].id = id; late[me].number = number }
      :: true ->
        atomic {
          commit(base, id, number, written);
          commit(base, id, number, written);
          see();
          isAnswered = true;
          isIndeterminate = true
        }
      fi
    fi;
    if
    :: !isAnswered ->
#ifdef NEW_ID
      goto proposal
#else
      isIndeterminate = true;
      goto send
#endif
    :: isAnswered && written
    :: isAnswered && !written && IS_NAMED(id) -> written = true
    :: isAnswered && !written && !IS_NAMED(id) && IS_UNKNOWN -> skip
    :: isAnswered && !written && !IS_NAMED(id) && !(IS_UNKNOWN) ->
      atomic { base = seenVersion; baseId = seen[0] };
      goto proposal
    fi;
    if
    :: written -> atomic { assert(times[number] == 1); base = seenVersion; baseId = seen[0] }
    :: !written -> /* OUTCOME_UNKNOWN: the next commit begins with a read */
      atomic { see(); base = seenVersion; baseId = seen[0] }
    fi;
    atomic { forget(); id = 0; number = 0; tries = 0; written = false; isIndeterminate = false; isAnswered = false }
  od
}

/* What was lost on the way arrives after all. */
proctype network(byte writerNumber) {
  bool written;
end:
  do
  :: late[writerNumber].there -> atomic { commit(late[writerNumber].expected, late[writerNumber].id, late[writerNumber].number, written); late[writerNumber].there = false }
  od
}

init {
  atomic {
    history[0] = FIRST;
    run writer(0);
    run writer(1);
    run network(0);
    run network(1)
  }
}
