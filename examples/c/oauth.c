/* Logs in through the authorization page, calls the API, and goes on after the token has expired.
 *
 * cc -std=c11 -D_DEFAULT_SOURCE oauth.c -o oauth -lhoopauth -lcurl Set HOOPAUTH_CLIENT_ID,
 * HOOPAUTH_CLIENT_SECRET, HOOPAUTH_REDIRECT_URI and HOOPAUTH_SCOPES, then run ./oauth: open the URL
 * it prints, and paste the URL that the browser ends at.
 */
#include "http.h"

int main(void)
{
  hoopauth_error_t *err = NULL;
  hoopauth_config_t *config = NULL;
  hoopauth_client_t *client = NULL;
  hoopauth_pending_authorization_t *pending = NULL;
  hoopauth_account_t *account = NULL;
  hoopauth_headers_t *headers = NULL, *repeat = NULL;
  const char *base = getenv("HOOPAUTH_API_BASE");
  char redirect[4096], url[512];

  must(hoopauth_config_new(&config, &err), &err);
  must(hoopauth_config_use_environment(config, &err), &err);
  must(hoopauth_client_new(config, &client, &err), &err);
  hoopauth_config_free(config);

  must(hoopauth_client_begin(client, NULL, &pending, &err), &err);
  printf("open this page: %s\n", hoopauth_pending_authorization_url(pending, NULL));
  printf("then paste the URL that the browser was sent to:\n");
  fflush(stdout);
  if (!fgets(redirect, sizeof redirect, stdin))
    return 1;
  must(hoopauth_client_complete(client, pending, redirect, HOOPAUTH_NUL_TERMINATED, NULL, &account,
                                &err),
       &err);
  hoopauth_pending_authorization_free(pending);
  const char *name = hoopauth_account_name(account, NULL), *id = strchr(name, ':') + 1;
  printf("authorized %s\n", name);

  snprintf(url, sizeof url, "%s/locations/%s", base ? base : "https://services.leadconnectorhq.com",
           id);
  must(hoopauth_client_headers(client, account, "GET", HOOPAUTH_NUL_TERMINATED, NULL, &headers,
                               &err),
       &err);
  struct answer answer = http_send("GET", url, headers, NULL);
  /* A token that was refused although it should live is replaced, and the request repeated, once.
   */
  must(hoopauth_client_report(client, headers, (uint16_t)answer.status, NULL, 0,
                              (const uint8_t *)answer.body, answer.body_len, NULL, &repeat, &err),
       &err);
  if (repeat) {
    answer_free(&answer);
    answer = http_send("GET", url, repeat, NULL);
  }
  printf("%ld: %s\n", answer.status, answer.body ? answer.body : "");

  int failed = answer.status != 200;
  answer_free(&answer);
  hoopauth_headers_free(repeat);
  hoopauth_headers_free(headers);
  hoopauth_account_free(account);
  hoopauth_client_free(client);
  return failed;
}
