/* Calls the API with a Private Integration token from the environment.
 *
 * cc -std=c11 -D_DEFAULT_SOURCE private_integration.c -o private_integration -lhoopauth -lcurl
 * HOOPAI_TOKEN=pit-... LOCATION_ID=... ./private_integration
 */
#include "http.h"

int main(void)
{
  hoopauth_error_t *err = NULL;
  hoopauth_config_t *config = NULL;
  hoopauth_client_t *client = NULL;
  hoopauth_headers_t *headers = NULL;
  const char *location = getenv("LOCATION_ID"), *base = getenv("HOOPAUTH_API_BASE");
  char url[512];
  if (!location) {
    fprintf(stderr, "set LOCATION_ID\n");
    return 1;
  }
  must(hoopauth_config_new(&config, &err), &err);
  must(hoopauth_config_use_environment(config, &err), &err);
  must(hoopauth_client_new(config, &client, &err), &err);
  hoopauth_config_free(config);

  must(hoopauth_client_headers(client, NULL, "GET", HOOPAUTH_NUL_TERMINATED, NULL, &headers, &err),
       &err);
  snprintf(url, sizeof url, "%s/locations/%s", base ? base : "https://services.leadconnectorhq.com",
           location);
  struct answer answer = http_send("GET", url, headers, NULL);
  printf("%ld: %s\n", answer.status, answer.body ? answer.body : "");

  int failed = answer.status != 200;
  answer_free(&answer);
  hoopauth_headers_free(headers);
  hoopauth_client_free(client);
  return failed;
}
