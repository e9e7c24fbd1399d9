"""An rANS with many heads over one stack of words, written slowly and plainly: Python's own integers and lists.

Nothing of `nelbo.codecs` is used but the rule that a message begins with one head and a fixed sequence of words.
"""

FIRST, LOW, LEAST = 0x9E3779B97F4A, 1 << 16, 1 << 32


def ground(index):
    """The word that lies `index` places below the beginning: splitmix64 of the index, its upper 16 bits."""
    mask = (1 << 64) - 1
    state = (index + 1) * 0x9E3779B97F4A7C15 & mask
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & mask
    return (state ^ (state >> 31)) >> 48


class PlainMessage:
    def __init__(self, heads=(FIRST,), words=()):
        self.heads, self.words, self.dug = list(heads), list(words), 0

    def push(self, intervals):
        """Symbols as (start, frequency), popped in this order; symbol i belongs to head i modulo their number."""
        size = len(self.heads)
        rows = [intervals[low : low + size] for low in range(0, len(intervals), size)]
        for row in reversed(rows):
            for head, (_, frequency) in enumerate(row):  # first all words of a row, in order
                if self.heads[head] >= frequency << 32:
                    self.words.append(self.heads[head] % LOW)
                    self.heads[head] //= LOW
            for head, (start, frequency) in enumerate(row):
                state = self.heads[head]
                self.heads[head] = (state // frequency) * LOW + start + state % frequency

    def pop(self, tables):
        """Symbols of tables, each a list of frequencies that sum to 2^16."""
        size, symbols = len(self.heads), []
        for low in range(0, len(tables), size):
            row = tables[low : low + size]
            for head, table in enumerate(row):
                slot, start, symbol = self.heads[head] % LOW, 0, 0
                while start + table[symbol] <= slot:
                    start += table[symbol]
                    symbol += 1
                self.heads[head] = table[symbol] * (self.heads[head] // LOW) + slot - start
                symbols.append(symbol)
            wanting = [head for head in range(len(row)) if self.heads[head] < LEAST]
            while len(self.words) < len(wanting):
                self.words.insert(0, ground(self.dug))
                self.dug += 1
            taken = self.words[len(self.words) - len(wanting) :]
            del self.words[len(self.words) - len(wanting) :]
            for head, word in zip(wanting, taken, strict=True):
                self.heads[head] = self.heads[head] * LOW + word
        return symbols

    def to_bytes(self):
        assert len(self.heads) == 1
        return b"".join([self.heads[0].to_bytes(6, "little"), *(word.to_bytes(2, "little") for word in self.words)])
