// Starting, limiting and ending the child.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void ckpt_hdf5_lock(void) { pthread_mutex_lock(&lock); }
void ckpt_hdf5_unlock(void) { pthread_mutex_unlock(&lock); }

// Bytes that this process has mapped: the first number of /proc/self/statm, in pages.
static uint64_t mapped(void) {
  char text[64] = "";
  int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t count = read(file, text, sizeof text - 1);
  close(file);
  return count > 0 ? strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void limit(__rlimit_resource_t resource, uint64_t soft, uint64_t hard) {
  struct rlimit limits;
  if (getrlimit(resource, &limits) != 0) return;
  if (hard < limits.rlim_max) limits.rlim_max = hard;
  limits.rlim_cur = soft < limits.rlim_max ? soft : limits.rlim_max;
  setrlimit(resource, &limits);
}

// Makes the forked process a reader and nothing else.
static void confine(struct ckpt_hdf5_image *image, int pipe) {
  // The parent's handlers must not run here: a crash ends the child, quietly.
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);

  image->descriptor = fcntl(image->descriptor, F_DUPFD, 3);
  output.descriptor = fcntl(pipe, F_DUPFD, 3);
  if (image->descriptor < 0 || output.descriptor < 0) _exit(3);
  int null = open("/dev/null", O_RDWR);
  for (int standard = 0; standard < 3; standard++)
    if (null >= 0 && null != standard) dup2(null, standard);

  uint64_t now = mapped();
  if (now > 0) limit(RLIMIT_AS, now + image->memory, now + image->memory);
  limit(RLIMIT_CPU, image->seconds, image->seconds + 1);  // SIGXCPU first, which tells why
  limit(RLIMIT_CORE, 0, 0);
  limit(RLIMIT_FSIZE, 0, 0);
  prctl(PR_SET_DUMPABLE, 0);
  output.limit = image->output;
}

struct job {
  const char *path;  // NULL: list the image
  int dtype;
  uint64_t first, count;
};

_Noreturn static void run(struct ckpt_hdf5_image image, struct job job, int pipe) {
  confine(&image, pipe);
  if (job.path)
    read_send(&image, job.path, job.dtype, job.first, job.count);
  else
    index_send(&image);
  stream_begin(CKPT_HDF5_END);
  stream_end();
  stream_flush();
  _exit(0);
}

static int start(struct ckpt_hdf5_image image, struct job job, struct ckpt_hdf5_child *child) {
  int ends[2];
  sigset_t all, before;
  sigfillset(&all);
  int result = 0;

  // Under the lock no other thread is inside libhdf5, and no other child inherits the pipe's end.
  ckpt_hdf5_lock();
  // What the library prepares once is inherited by every child; no file is read by that.
  H5open();
  if (pipe2(ends, O_CLOEXEC) != 0) {
    result = errno;
  } else {
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) run(image, job, ends[1]);
    if (pid < 0) result = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0)
      close(ends[0]);
    else
      *child = (struct ckpt_hdf5_child){.pid = pid, .output = ends[0]};
  }
  ckpt_hdf5_unlock();
  return result;
}

int ckpt_hdf5_start_index(struct ckpt_hdf5_image image, struct ckpt_hdf5_child *child) {
  return start(image, (struct job){0}, child);
}

int ckpt_hdf5_start_read(struct ckpt_hdf5_image image, const char *path, int dtype, uint64_t first,
                         uint64_t count, struct ckpt_hdf5_child *child) {
  return start(image, (struct job){.path = path, .dtype = dtype, .first = first, .count = count},
               child);
}

ssize_t ckpt_hdf5_receive(const struct ckpt_hdf5_child *child, void *buffer, size_t size,
                          int milliseconds) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t end = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + milliseconds;
  while (1) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left = end - ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    struct pollfd wait = {.fd = child->output, .events = POLLIN};
    int ready = poll(&wait, 1, left > 0 ? (int)left : 0);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return -1;
    if (ready == 0) return -2;
    ssize_t count = read(child->output, buffer, size);
    if (count < 0 && errno == EINTR) continue;
    return count;
  }
}

int ckpt_hdf5_finish(struct ckpt_hdf5_child *child, int force) {
  int status = 0;
  close(child->output);
  if (force) kill(child->pid, SIGKILL);
  while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}
