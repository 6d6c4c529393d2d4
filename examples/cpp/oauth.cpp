// Logs in through the authorization page, calls the API, and goes on after the token has expired.
//
// c++ -std=c++17 oauth.cpp -o oauth -lhoopauth -lcurl Set HOOPAUTH_CLIENT_ID,
// HOOPAUTH_CLIENT_SECRET, HOOPAUTH_REDIRECT_URI and HOOPAUTH_SCOPES, then run ./oauth: open the URL
// it prints, and paste the URL that the browser ends at.
#include <cstdlib>
#include <iostream>

#include "http.hpp"

int main() try {
    const hoopauth::client client(hoopauth::config().use_environment());
    const char* base = std::getenv("HOOPAUTH_API_BASE");

    const auto pending = client.begin();
    std::cout << "open this page: " << pending.url()
              << "\nthen paste the URL that the browser was sent to:" << std::endl;
    std::string redirect;
    std::getline(std::cin, redirect);
    const auto account = client.complete(pending, redirect);
    std::cout << "authorized " << account.name() << '\n';

    const std::string id(account.name().substr(account.name().find(':') + 1));
    const std::string url =
        (base ? base : "https://services.leadconnectorhq.com") + ("/locations/" + id);
    const auto headers = client.headers(account, "GET");
    auto answer = send("GET", url, &headers);
    // A token that was refused although it should live is replaced, and the request repeated, once.
    if (const auto repeat = client.report(headers, answer.status, answer.body))
        answer = send("GET", url, &*repeat);
    std::cout << answer.status << ": " << answer.body << '\n';
    return answer.status == 200 ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
