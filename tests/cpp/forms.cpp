// Both forms of the wrapper in one program: this file is compiled twice, with exceptions and
// without, and each form's store fails in its own way. The linker must not take the guard of one
// form for that of the other.
#include <cstdio>
#include <stdexcept>

#include "hoopauth.hpp"

namespace {

class failing : public hoopauth::store {
public:
    hoopauth::result<std::optional<hoopauth::stored_row>> load(const hoopauth::row_key&) override {
#if HOOPAUTH_EXCEPTIONS
        throw std::runtime_error("thrown");
#else
        return hoopauth::error(hoopauth::code::callback_failed, "returned");
#endif
    }
    hoopauth::result<bool> save(const hoopauth::row_key&, std::uint64_t,
                                const hoopauth::new_row&) override {
        return false;
    }
    hoopauth::result<std::vector<hoopauth::listed_row>> list(std::string_view) override {
        return std::vector<hoopauth::listed_row>();
    }
};

// Whether the store's failure came as `text`.
bool fails_with(const char* text) {
    auto config = hoopauth::config::try_make();
    if (!config || !config->try_set("client_id", "a") || !config->try_set("client_secret", "b"))
        return false;
    if (!config->try_set_store(std::make_unique<failing>())) return false;
    const auto client = hoopauth::client::try_make(*config);
    if (!client) return false;
    const auto headers = client->try_headers("location:one", "GET");
    return !headers && headers.error().code() == hoopauth::code::callback_failed &&
           headers.error().message().find(text) != std::string_view::npos;
}

}  // namespace

bool without_exceptions();

#if HOOPAUTH_EXCEPTIONS
int main() {
    if (!without_exceptions() || !fails_with("thrown")) {
        std::fprintf(stderr, "the forms are mixed up\n");
        return 1;
    }
}
#else
bool without_exceptions() { return fails_with("returned"); }
#endif
