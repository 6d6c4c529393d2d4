/* Loads and unloads the shared library again and again, as plug-ins do, with a client that made
 * HTTP in between. */
#include "http.h"

#include <dlfcn.h>

/* A function of the library by its name, without a cast that ISO C lacks. */
#define FUNCTION(library, name, type)                                                              \
  type name;                                                                                       \
  do {                                                                                             \
    void *found = dlsym(library, "hoopauth_" #name);                                               \
    CHECK(found != NULL);                                                                          \
    memcpy(&name, &found, sizeof name);                                                            \
  } while (0)

typedef hoopauth_status_t (*config_new_t)(hoopauth_config_t **, hoopauth_error_t **);
typedef hoopauth_status_t (*config_set_t)(hoopauth_config_t *, const char *, size_t, const char *,
                                          size_t, hoopauth_error_t **);
typedef void (*config_free_t)(hoopauth_config_t *);
typedef hoopauth_status_t (*client_new_t)(const hoopauth_config_t *, hoopauth_client_t **,
                                          hoopauth_error_t **);
typedef hoopauth_status_t (*client_headers_by_name_t)(const hoopauth_client_t *, const char *,
                                                      size_t, const char *, size_t,
                                                      const hoopauth_context_t *,
                                                      hoopauth_headers_t **, hoopauth_error_t **);
typedef void (*headers_free_t)(hoopauth_headers_t *);
typedef void (*client_free_t)(hoopauth_client_t *);
typedef hoopauth_status_t (*grant_new_t)(const char *, size_t, const char *, size_t,
                                         hoopauth_grant_t **, hoopauth_error_t **);
typedef hoopauth_status_t (*grant_set_refresh_token_t)(hoopauth_grant_t *, const char *, size_t,
                                                       hoopauth_error_t **);
typedef hoopauth_status_t (*client_import_t)(const hoopauth_client_t *, const hoopauth_grant_t *,
                                             bool, const hoopauth_context_t *, int32_t *,
                                             hoopauth_error_t **);
typedef void (*grant_free_t)(hoopauth_grant_t *);

int main(void)
{
  static const char account[] = "location:hoopLocation00000001";
  for (int i = 0; i < 5; i++) {
    void *library = dlopen(setting("TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
      fprintf(stderr, "%s\n", dlerror());
    }
    CHECK(library != NULL);
    FUNCTION(library, config_new, config_new_t);
    FUNCTION(library, config_set, config_set_t);
    FUNCTION(library, config_free, config_free_t);
    FUNCTION(library, client_new, client_new_t);
    FUNCTION(library, client_headers_by_name, client_headers_by_name_t);
    FUNCTION(library, headers_free, headers_free_t);
    FUNCTION(library, client_free, client_free_t);
    FUNCTION(library, grant_new, grant_new_t);
    FUNCTION(library, grant_set_refresh_token, grant_set_refresh_token_t);
    FUNCTION(library, client_import, client_import_t);
    FUNCTION(library, grant_free, grant_free_t);

    const char *options[][2] = {{"client_id", setting("TEST_CLIENT_ID")},
                                {"client_secret", setting("TEST_CLIENT_SECRET")},
                                {"api_base", setting("TEST_API")},
                                {"token_url", setting("TEST_TOKEN")},
                                {"store", "memory:"}};
    hoopauth_config_t *config = NULL;
    CHECK(config_new(&config, NULL) == HOOPAUTH_OK);
    for (size_t o = 0; o < sizeof options / sizeof *options; o++) {
      CHECK(config_set(config, options[o][0], NUL, options[o][1], NUL, NULL) == HOOPAUTH_OK);
    }
    hoopauth_client_t *client = NULL;
    CHECK(client_new(config, &client, NULL) == HOOPAUTH_OK);
    config_free(config);
    char *issued = control("POST", "grants", "{\"account\":\"location:hoopLocation00000001\"}");
    char *access = member(issued, "access_token"), *refresh = member(issued, "refresh_token");
    hoopauth_grant_t *grant = NULL;
    CHECK(grant_new(account, NUL, access, NUL, &grant, NULL) == HOOPAUTH_OK);
    CHECK(grant_set_refresh_token(grant, refresh, NUL, NULL) == HOOPAUTH_OK);
    CHECK(client_import(client, grant, true, NULL, NULL, NULL) == HOOPAUTH_OK);
    grant_free(grant);
    free(refresh);
    free(access);
    free(issued);
    hoopauth_headers_t *headers = NULL;
    CHECK(client_headers_by_name(client, account, NUL, "GET", NUL, NULL, &headers, NULL) ==
          HOOPAUTH_OK);
    headers_free(headers);
    client_free(client);
    CHECK(dlclose(library) == 0);
  }
  CHECK(count_of("rotations") == 5);
  return 0;
}
