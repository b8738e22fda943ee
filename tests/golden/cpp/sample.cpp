#include <vector>
#include "order.hpp"

using std::string;

namespace shop {
namespace orders {

/// What can be priced.
class Priced {
public:
    virtual ~Priced() = default;
    virtual double net() const = 0;

    /// Price with tax.
    double gross(double rate = 0.19) const {
        return net() * (1 + rate);
    }

protected:
    std::string sku_;
    int number_ = 0;
};

/** Stores values. */
template <typename T, int Size = 8>
class Store final : public Priced, private Base<T> {
public:
    explicit Store(std::vector<T> values) : values_(std::move(values)) {}
    Store& operator=(const Store&) = delete;
    double net() const override;

    bool operator<(const Store& other) const { return values_ < other.values_; }

    struct Entry {
        T value;
        bool used() const { return used_; }
    };

private:
    std::vector<T> values_;
};

// Out of the class.
template <typename T, int Size>
double Store<T, Size>::net() const {
    double sum = 0;
    for (const auto& value : values_) {
        if (value > 0 && value < 100) {
            sum += value;
        } else if (value < 0 or value == -1) {
            continue;
        } else {
            try {
                sum += std::stod(value);
            } catch (const std::exception& error) {
                sum += 1;
            }
        }
    }
    auto each = [&](int x) -> int { return x > 0 ? x : 0; };
    return sum;
}

enum class State : int { Open, Closed };

}  // namespace orders
}  // namespace shop

shop::orders::Priced::~Priced() {}

extern "C" {
int shop_open(const char* path, int flags) {
    switch (flags) {
        case 1: return 1;
        default: return 0;
    }
}
}

template <typename T>
T maximum(T a, T b) {
    return a > b ? a : b;
}

TEST(Store, StartsEmpty) {
    EXPECT_EQ(Store<int>().net(), 0);
}

[[nodiscard]] constexpr auto twice(auto value) -> decltype(value) { return value * 2; }
