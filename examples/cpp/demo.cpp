// The main job in C++, against a local HoopAI: a login, API calls, an expiry, and on it goes. Exits
// with 1 if anything is off.
//
// c++ -std=c++17 demo.cpp -o demo -lhoopauth -lcurl
// ../with_emulator.sh ./demo
#include <cstdlib>
#include <iostream>

#include "http.hpp"

namespace {

const std::string location = "hoopLocation00000001";

void expect(const char* what, bool held) {
    if (!held) throw std::runtime_error(std::string("this did not hold: ") + what);
}

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    if (!value)
        throw std::runtime_error(std::string(name) +
                                 " is not set: start this with examples/with_emulator.sh");
    return value;
}

answer call(const hoopauth::headers& headers) {
    return send("GET", variable("HOOPAUTH_API_BASE") + "/locations/" + location, &headers);
}

// Tells the local HoopAI to do something to the location.
void control(const std::string& what) {
    const auto answer = send("POST", variable("EMULATOR_CONTROL") + "/" + what, nullptr,
                             "{\"account\":\"location:" + location + "\"}");
    expect("the local HoopAI does as it is told", answer.status == 200);
}

void run() {
    std::cout << "1. a local HoopAI listens at " << variable("HOOPAUTH_API_BASE") << '\n';
    {
        hoopauth::config config;
        config.use_environment().set("private_integration_token",
                                     "pit-10ca7100-0000-4000-8000-000000000001");
        const hoopauth::client client(config);
        const auto answer = call(client.headers("GET"));
        expect("a Private Integration token calls the API", answer.status == 200);
        std::cout << "2. a Private Integration token calls the API: " << answer.status << '\n';
    }

    hoopauth::config config;
    config.use_environment()
        .set("client_id", "65f0a1b2c3d4e5f607182930-hoopdev1")
        .set("client_secret", "3f9c2d1e-7b54-4a60-9d8e-1f2a3b4c5d6e")
        .set("redirect_uri", "https://app.example/callback")
        .set("scopes", "contacts.readonly locations.readonly")
        .set("store", "memory:");
    const hoopauth::client client(config);
    const auto pending = client.begin();
    const auto page = send("GET", std::string(pending.url()));
    expect("the authorization page asks the user", page.body.find("Approve") != std::string::npos);
    std::cout << "3. the authorization page asks the user to approve (" << page.body.size()
              << " bytes of HTML)\n";

    const auto redirect =
        send("GET", std::string(pending.url()) + "&approve=location:" + location).location;
    const auto account = client.complete(pending, redirect);
    expect("the account is the chosen one", account.name() == "location:" + location);
    std::cout << "4. the code is exchanged; " << account.name() << " is authorized\n";
    try {
        client.complete(pending, redirect);
        expect("a used redirect is refused", false);
    } catch (const hoopauth::errors::state_mismatch& error) {
        std::cout << "5. the same redirect a second time is refused: " << name(error.code())
                  << '\n';
    }

    auto headers = client.headers(account, "GET");
    auto answer = call(headers);
    expect("the API accepts the token", answer.status == 200);
    std::cout << "6. the API answers " << answer.status << '\n';

    control("expire");
    answer = call(headers);
    expect("the expired token is refused", answer.status == 401);
    std::cout << "7. the token expires: the API answers " << answer.status << '\n';
    auto repeat = client.report(headers, answer.status, answer.body);
    expect("the report leads to a refresh", repeat.has_value());
    headers = std::move(*repeat);
    answer = call(headers);
    const auto statistics = send("GET", variable("EMULATOR_CONTROL") + "/statistics").body;
    expect("the refreshed token works", answer.status == 200);
    expect("it was refreshed once", statistics.find("\"rotations\":1,") != std::string::npos);
    std::cout << "8. hoopauth refreshes it, once, and the API answers " << answer.status << '\n';

    control("uninstall");
    answer = call(headers);
    try {
        (void)client.report(headers, answer.status, answer.body);
        expect("an uninstalled app asks for authorization", false);
    } catch (const hoopauth::errors::reauthorization_required& error) {
        std::cout << "9. the user uninstalls the app: " << name(error.code()) << '\n';
    }
    std::cout << "all of it as it should be\n";
}

}  // namespace

int main() try {
    run();
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
