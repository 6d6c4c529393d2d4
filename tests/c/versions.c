/* Prints what the header and the library say of themselves, a pair a line, for the test to compare.
 */
#include "check.h"

int main(void)
{
  printf("version %s %s\n", HOOPAUTH_VERSION, hoopauth_version());
  printf("numbers %d.%d.%d\n", HOOPAUTH_VERSION_MAJOR, HOOPAUTH_VERSION_MINOR,
         HOOPAUTH_VERSION_PATCH);
  printf("abi %d %u\n", HOOPAUTH_ABI_VERSION, (unsigned)hoopauth_abi_version());
  for (int status = -1; status <= 1000; status++) {
    const char *name = hoopauth_status_name(status);
    if (strcmp(name, "UNKNOWN") != 0) {
      printf("status %d %s\n", status, name);
    }
  }
  CHECK(strcmp(hoopauth_status_name(INT32_MIN), "UNKNOWN") == 0);
  CHECK(strcmp(hoopauth_status_name(INT32_MAX), "UNKNOWN") == 0);
  return 0;
}
