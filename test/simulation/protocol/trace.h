/* A trace of the simulator, as commits.ts writes it: one step a line. It is read from the file that the variable TRACE of the environment names. */
#include <stdio.h>
#include <stdlib.h>

enum { PROPOSES = 1, ANSWERED, TWICE, LOST, WRITTEN, REFUSED, UNKNOWN, ARRIVES, LEARNS };

struct Step {
  int kind;
  /** The writer; of LEARNS the process. */
  int who;
  int process;
  /** The commit, and the write that it belongs to. */
  int id, number;
  /** Of PROPOSES what it expects, of LEARNS what was seen. */
  int base;
  /** Which one of the copies that are lost on the way. */
  int copy;
  int written;
  /** Of PROPOSES: its process has seen what it expects. */
  int isKnown;
};

#define MOST_STEPS 4096
static struct Step trace[MOST_STEPS + 1];
static int steps, writers, furthest;

static void report(void) { printf("trace: %d of %d steps\n", furthest, steps); }

static void read_trace(void) {
  FILE *file = fopen(getenv("TRACE"), "r");
  struct Step step;
  steps = writers = 0;
  if (!file) exit(2);
  while (steps < MOST_STEPS && fscanf(file, "%d %d %d %d %d %d %d %d", &step.kind, &step.who, &step.process, &step.id,
                                      &step.number, &step.base, &step.copy, &step.written) == 8) {
    step.isKnown = 0;
    for (int index = 0; index < steps; index++)
      if (trace[index].kind == LEARNS && trace[index].process == step.process && trace[index].base == step.base) step.isKnown = 1;
    trace[steps++] = step;
    if (step.kind != LEARNS && step.who >= writers) writers = step.who + 1;
  }
  fclose(file);
  if (furthest == 0) atexit(report);
}

static void advance(int position) {
  if (position + 1 > furthest) furthest = position + 1;
}
