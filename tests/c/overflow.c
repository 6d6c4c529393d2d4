/* Reads behind the end of an allocation, or overflows an int: proof that the sanitizers are on.
 * Each must end the program. */
#include "check.h"

#include <limits.h>

int main(int argc, char **argv)
{
  CHECK(argc == 2);
  CHECK(hoopauth_abi_version() == HOOPAUTH_ABI_VERSION);
  if (strcmp(argv[1], "memory") == 0) {
    char *bytes = malloc(8), copy[16];
    volatile size_t len = 9;
    memset(bytes, 1, 8);
    memcpy(copy, bytes, len);
    CHECK(copy[0] == 1);
    free(bytes);
  } else if (strcmp(argv[1], "leak") == 0) {
    hoopauth_config_t *config = NULL;
    OK(hoopauth_config_new(&config, &err));
    config = NULL;
  } else if (strcmp(argv[1], "arithmetic") == 0) {
    volatile int most = INT_MAX;
    most = most + 1;
  }
  return 0;
}
