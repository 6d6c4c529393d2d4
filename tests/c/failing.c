/* Refreshes that fail in every way: what a C program sees, and that a checker of memory has nothing
 * to say of the library. */
#include "http.h"

#define ACTIVE "location:hoopLocation00000001"
#define PAUSED "location:hoopLocation00000002"

/* An app of the local HoopAI that gives up soon. */
static hoopauth_client_t *hasty_client(void)
{
  hoopauth_config_t *config = app_config();
  set_option(config, "attempt_timeout", "1");
  set_option(config, "timeout", "2");
  set_option(config, "max_retries", "0");
  return client_of(config);
}

static hoopauth_status_t refresh(const hoopauth_client_t *client, const char *account)
{
  hoopauth_headers_t *headers = NULL;
  hoopauth_error_t *error = NULL;
  hoopauth_status_t status =
      hoopauth_client_headers_by_name(client, account, NUL, "GET", NUL, NULL, &headers, &error);
  CHECK((status == HOOPAUTH_OK) == (headers != NULL) && (status == HOOPAUTH_OK) == (error == NULL));
  CHECK(error == NULL || *hoopauth_error_message(error, NULL) != '\0');
  hoopauth_headers_free(headers);
  hoopauth_error_free(error);
  return status;
}

/* The refresh fails with this fault, and again while its failure is remembered. */
static void fails_by(const char *fault, int times)
{
  hoopauth_client_t *client = hasty_client();
  import(client, ACTIVE, 0);
  char json[300];
  snprintf(json, sizeof json, "{\"endpoint\":\"token\",\"times\":%d,%s}", times, fault);
  tell("faults", json);
  CHECK(refresh(client, ACTIVE) != HOOPAUTH_OK);
  CHECK(refresh(client, ACTIVE) != HOOPAUTH_OK);
  hoopauth_account_t *account = account_of(client, ACTIVE);
  hoopauth_health_t *health = NULL;
  OK(hoopauth_client_health(client, account, NULL, &health, &err));
  hoopauth_health_free(health);
  hoopauth_account_free(account);
  free(control("DELETE", "faults", ""));
  hoopauth_client_free(client);
}

int main(void)
{
  fails_by("\"kind\":\"status\",\"status\":503,\"body\":\"\"", 9);
  fails_by(
      "\"kind\":\"status\",\"status\":429,\"body\":\"{}\",\"headers\":{\"retry-after\":\"60\"}", 9);
  fails_by("\"kind\":\"status\",\"status\":400,\"body\":\"{\\\"error\\\":\\\"invalid_grant\\\"}\"",
           9);
  fails_by("\"kind\":\"status\",\"status\":401,\"body\":\"{\\\"error\\\":\\\"invalid_client\\\"}\"",
           9);
  fails_by("\"kind\":\"status\",\"status\":403,\"body\":\"<html>no</html>\"", 9);
  fails_by("\"kind\":\"lost_answer\"", 9);
  fails_by("\"kind\":\"close\"", 9);
  fails_by("\"kind\":\"cut_body\"", 9);
  fails_by("\"kind\":\"malformed_json\"", 9);
  fails_by("\"kind\":\"timeout\"", 9);

  /* Accounts that the platform paused, and whose grant it withdrew. */
  hoopauth_client_t *client = client_of(app_config());
  import(client, PAUSED, 0);
  tell("pause", "{\"location_id\":\"hoopLocation00000002\"}");
  CHECK(refresh(client, PAUSED) == HOOPAUTH_ACCOUNT_INACTIVE);
  CHECK(refresh(client, PAUSED) != HOOPAUTH_OK);
  import(client, ACTIVE, 0);
  tell("uninstall", "{\"account\":\"" ACTIVE "\"}");
  CHECK(refresh(client, ACTIVE) == HOOPAUTH_REAUTHORIZATION_REQUIRED);
  CHECK(refresh(client, ACTIVE) == HOOPAUTH_REAUTHORIZATION_REQUIRED);
  hoopauth_client_free(client);
  return 0;
}
