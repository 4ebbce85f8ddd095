// The peer of `ls --stats`: reads a file that is in the page cache with as many threads as there are processors,
// and does nothing else. Usage: read_memory FILE TURNS
// Prints the least milliseconds of reading it where it is mapped for the purpose, part by part, and of
// reading a copy in the process's own memory.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PART = 4 << 20 };
typedef uint64_t words __attribute__((vector_size(64), aligned(8)));

static int file;
static size_t size;
static const char *memory;
static atomic_size_t next;
static atomic_ullong sink;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) static uint64_t
look(const char *bytes, size_t count) {
  words a = {0}, b = {0}, c = {0}, d = {0};
  for (size_t i = 0; i + 256 <= count; i += 256) {
    a ^= *(const words *)(bytes + i);
    b ^= *(const words *)(bytes + i + 64);
    c ^= *(const words *)(bytes + i + 128);
    d ^= *(const words *)(bytes + i + 192);
  }
  a ^= b ^ c ^ d;
  return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

static void *work(void *unused) {
  (void)unused;
  for (size_t start; (start = atomic_fetch_add(&next, PART)) < size;) {
    const size_t count = size - start < PART ? size - start : PART;
    if (memory) {
      sink ^= look(memory + start, count);
      continue;
    }
    char *map = mmap(NULL, count, PROT_READ, MAP_SHARED, file, (off_t)start);
    if (map == MAP_FAILED) abort();
    sink ^= look(map, count);
    munmap(map, count);
  }
  return NULL;
}

static double turn(int threads) {
  pthread_t others[1024];
  const double start = now();
  next = 0;
  for (int i = 1; i < threads; i++) pthread_create(others + i, NULL, work, NULL);
  work(NULL);
  for (int i = 1; i < threads; i++) pthread_join(others[i], NULL);
  return now() - start;
}

int main(int count, char **arguments) {
  if (count != 3 || (file = open(arguments[1], O_RDONLY)) < 0) return 64;
  struct stat status;
  fstat(file, &status);
  size = (size_t)status.st_size;
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  const int threads = CPU_COUNT(&set) < 1024 ? CPU_COUNT(&set) : 1024;
  const int turns = atoi(arguments[2]);
  double mapped = 1e9, own = 1e9;
  for (int i = 0; i < turns; i++) {
    const double time = turn(threads);
    if (time < mapped) mapped = time;
  }
  if (turns > 1) {
    char *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) return 1;
    madvise(copy, size, MADV_HUGEPAGE);
    for (size_t done = 0; done < size;) {
      const ssize_t more = pread(file, copy + done, size - done, (off_t)done);
      if (more <= 0) return 1;
      done += (size_t)more;
    }
    memory = copy;
    for (int i = 0; i < turns; i++) {
      const double time = turn(threads);
      if (time < own) own = time;
    }
    printf("%.1f %.1f\n", mapped, own);
  }
  return 0;
}
