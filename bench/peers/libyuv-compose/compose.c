/* libyuv as a compositor: one I420Scale (bilinear, or box) for each tile, single-threaded, on inputs of its own.
 *
 * usage: libyuv-compose SRC_WIDTH SRC_HEIGHT WIDTH HEIGHT FILTER X Y W H [X Y W H ...]
 * It reads numbers of frames from standard input, a line each, composes so many, and answers with the nanoseconds of processor time. */

#include <inttypes.h>
#include <libyuv.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct picture {
  int width, height;
  uint8_t *y, *u, *v;
};

static uint64_t state = 1;

static uint8_t *plane(size_t bytes) {
  uint8_t *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!data) exit(1);
  for (size_t i = 0; i < bytes; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    data[i] = state >> 56;
  }
  return data;
}

static struct picture make(int width, int height) {
  size_t luma = (size_t)width * height, chroma = luma / 4;
  struct picture p = {width, height, plane(luma), plane(chroma), plane(chroma)};
  return p;
}

int main(int argc, char **argv) {
  if (argc < 10 || (argc - 6) % 4) return 2;
  int tiles = (argc - 6) / 4, numbers[256];
  if (argc > 256) return 2;
  for (int i = 1; i < argc; i++) numbers[i] = atoi(argv[i]);
  struct picture out = make(numbers[3], numbers[4]), *in = calloc(tiles, sizeof *in);
  if (!in) return 1;
  for (int i = 0; i < tiles; i++) in[i] = make(numbers[1], numbers[2]);
  long frames;
  while (scanf("%ld", &frames) == 1) {
    struct timespec start, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (long n = 0; n < frames; n++)
      for (int i = 0; i < tiles; i++) {
        int *t = numbers + 6 + 4 * i, w = out.width, c = out.width / 2;
        struct picture *p = in + i;
        if (I420Scale(p->y, p->width, p->u, p->width / 2, p->v, p->width / 2, p->width, p->height, out.y + t[1] * w + t[0], w,
                      out.u + t[1] / 2 * c + t[0] / 2, c, out.v + t[1] / 2 * c + t[0] / 2, c, t[2], t[3],
                      (enum FilterMode)numbers[5]))
          return 1;
      }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    int64_t taken = (end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec;
    printf("%" PRId64 "\n", taken);
    fflush(stdout);
  }
  return 0;
}
