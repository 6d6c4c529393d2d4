// Calls the API with a Private Integration token from the environment.
//
// c++ -std=c++17 private_integration.cpp -o private_integration -lhoopauth -lcurl
// HOOPAI_TOKEN=pit-... LOCATION_ID=... ./private_integration
#include <cstdlib>
#include <iostream>

#include "http.hpp"

int main() try {
    const hoopauth::client client(hoopauth::config().use_environment());
    const char* location = std::getenv("LOCATION_ID");
    if (!location) throw std::runtime_error("set LOCATION_ID");
    const char* base = std::getenv("HOOPAUTH_API_BASE");

    const auto headers = client.headers("GET");
    const std::string url = base ? base : "https://services.leadconnectorhq.com";
    const auto answer = send("GET", url + "/locations/" + location, &headers);
    std::cout << answer.status << ": " << answer.body << '\n';
    return answer.status == 200 ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
