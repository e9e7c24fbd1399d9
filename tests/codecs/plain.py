"""The coder of format 1, written slowly and plainly: Python's own integers and lists.

An asymmetric numeral system with a state of 64 bits over words of 32 and models of 24 bits, what is pushed and popped
for a table, and the words below a message. Nothing of `nelbo.codecs` or constriction is used.
"""

WORD, BITS = 1 << 32, 24
MODEL = 1 << BITS


def ground(index):
    """The word that lies `index` places below the top at the beginning: splitmix64 of the index, its upper 32 bits."""
    mask = (1 << 64) - 1
    state = (index + 1) * 0x9E3779B97F4A7C15 & mask
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & mask
    return (state ^ (state >> 31)) >> 32


def uniform(size):
    """Ends of equal intervals of [0, 2^24), the last one with what is left."""
    width = MODEL // size
    return lambda symbol: (symbol * width, MODEL if symbol == size - 1 else (symbol + 1) * width)


def bernoulli(ones):
    zero = (65536 - ones) * (MODEL - 2) // 65536 + 1
    return lambda symbol: (zero, MODEL) if symbol else (0, zero)


def parts(frequency, cut, drawn):
    """How often 2 << cut goes into 4 * frequency, rounded up for what is drawn."""
    return -(-4 * frequency // (2 << cut)) if drawn else 4 * frequency // (2 << cut)


class PlainMessage:
    def __init__(self):
        self.state, self.words, self.dug = ground(0) << 32 | ground(1), [], 2

    def put(self, symbol, model):
        low, high = model(symbol)
        if self.state >= (high - low) << (64 - BITS):
            self.words.append(self.state % WORD)
            self.state //= WORD
        quotient, rest = divmod(self.state, high - low)
        self.state = quotient * MODEL + low + rest

    def take(self, model, guess):
        number = self.state % MODEL
        symbol = guess(number)
        low, high = model(symbol)
        assert low <= number < high
        self.state = self.state // MODEL * (high - low) + number - low
        if self.state < WORD:
            if not self.words:
                self.words.append(ground(self.dug))
                self.dug += 1
            self.state = self.state * WORD + self.words.pop()
        return symbol

    def take_uniform(self, size):
        return self.take(uniform(size), lambda number: min(number // (MODEL // size), size - 1))

    def push(self, intervals, lanes, *, drawn=False):
        """Symbols as (start, frequency), popped in this order."""
        for row in reversed([intervals[low : low + lanes] for low in range(0, len(intervals), lanes)]):
            if max(frequency for _, frequency in row) >= 4096:
                cuts = [max(0, frequency.bit_length() - 12) for _, frequency in row]
                high = [self.take_uniform(parts(f, cut, drawn)) for (_, f), cut in zip(row, cuts, strict=True)]
                low = [self.take_uniform(2 << cut) for cut in cuts]
                rest = [(h << (cut + 1)) + one for h, one, cut in zip(high, low, cuts, strict=True)]
            else:
                rest = [self.take_uniform(4 * frequency) for _, frequency in row]
            for (start, _), one in reversed(list(zip(row, rest, strict=True))):
                self.put(4 * start + one, uniform(1 << 18))

    def pop(self, tables, lanes, *, drawn=False):
        """Symbols of tables, each a list of frequencies that sum to 2^16."""
        symbols = []
        for row in [tables[low : low + lanes] for low in range(0, len(tables), lanes)]:
            slots, found = [self.take_uniform(1 << 18) for _ in row], []
            for slot, table in zip(slots, row, strict=True):
                start, symbol = 0, 0
                while start + table[symbol] <= slot // 4:
                    start += table[symbol]
                    symbol += 1
                found.append((slot - 4 * start, table[symbol]))
                symbols.append(symbol)
            if max(frequency for _, frequency in found) >= 4096:
                cut = [(rest, f, max(0, f.bit_length() - 12)) for rest, f in reversed(found)]
                for rest, _, by in cut:
                    self.put(rest % (2 << by), uniform(2 << by))
                for rest, f, by in cut:
                    self.put(rest // (2 << by), uniform(parts(f, by, drawn)))
            else:
                for rest, frequency in reversed(found):
                    self.put(rest, uniform(4 * frequency))
        return symbols

    def push_bits(self, bits, ones):
        for bit, one in reversed(list(zip(bits, ones, strict=True))):
            self.put(bit, bernoulli(one))

    def pop_bits(self, ones):
        return [self.take(bernoulli(one), lambda number, one=one: int(number >= bernoulli(one)(1)[0])) for one in ones]

    def scramble(self, bits, factor):
        numbers = [self.take_uniform(1 << 23) for _ in range(-(-bits // 23))]
        for number in reversed(numbers):
            mixed = number * factor % (1 << 23)
            self.put((mixed ^ mixed >> 12) * factor % (1 << 23), uniform(1 << 23))

    def top(self):
        """Its words, those of the state last."""
        return [*self.words, self.state % WORD, self.state // WORD]
