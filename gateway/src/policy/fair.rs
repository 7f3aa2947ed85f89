//! Fair queueing: those who wait are served in turn, one of each at a time, however many of one's own wait.
//!
//! In go items under keys; out they come, the keys in turn and each key's own in the order in which they came. Invariant: who joins waits
//! for at most as many of any other as of its own and one more, so nobody's queue makes another's longer than that. It knows no
//! clock, and is small: what waits is looked through, not indexed.

use std::collections::VecDeque;

pub struct Fair<K, T> {
    /// In the order of turns; none is empty.
    lines: VecDeque<Line<K, T>>,
}

struct Line<K, T> {
    key: K,
    items: VecDeque<T>,
}

impl<K, T> Default for Fair<K, T> {
    fn default() -> Self {
        Self { lines: VecDeque::new() }
    }
}

impl<K: Copy + Eq, T> Fair<K, T> {
    pub fn len(&self) -> usize {
        self.lines.iter().map(|line| line.items.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn push(&mut self, key: K, item: T) {
        match self.lines.iter_mut().find(|line| line.key == key) {
            Some(line) => line.items.push_back(item),
            None => self.lines.push_back(Line { key, items: [item].into() }),
        }
    }

    pub fn front(&self) -> Option<&T> {
        self.lines.front()?.items.front()
    }

    pub fn pop(&mut self) -> Option<T> {
        let mut line = self.lines.pop_front()?;
        let item = line.items.pop_front();
        if !line.items.is_empty() {
            self.lines.push_back(line);
        }
        item
    }

    /// How many would be served before an item that joined under this key now.
    pub fn ahead(&self, key: K) -> usize {
        let place = self.lines.iter().position(|line| line.key == key);
        let own = place.map_or(0, |place| self.lines[place].items.len());
        let before = |index: usize| place.is_none_or(|place| index < place);
        self.lines.iter().enumerate().map(|(index, line)| line.items.len().min(own + usize::from(before(index)))).sum::<usize>()
    }

    /// Takes out those for which `leaves` gives a reason. It is asked in the order in which they would be served, with the number of
    /// those that stay before.
    pub fn take<R>(&mut self, mut leaves: impl FnMut(usize, &T) -> Option<R>) -> Vec<(T, R)> {
        let mut verdicts: Vec<VecDeque<Option<R>>> = self.lines.iter().map(|_| VecDeque::new()).collect();
        let mut staying = 0;
        for round in 0..self.lines.iter().map(|line| line.items.len()).max().unwrap_or(0) {
            for (line, verdicts) in self.lines.iter().zip(&mut verdicts) {
                let Some(item) = line.items.get(round) else { continue };
                let reason = leaves(staying, item);
                staying += usize::from(reason.is_none());
                verdicts.push_back(reason);
            }
        }
        self.split(verdicts)
    }

    fn split<R>(&mut self, verdicts: Vec<VecDeque<Option<R>>>) -> Vec<(T, R)> {
        let mut taken = Vec::new();
        for (line, mut verdicts) in self.lines.iter_mut().zip(verdicts) {
            for _ in 0..line.items.len() {
                let Some(item) = line.items.pop_front() else { break };
                match verdicts.pop_front().flatten() {
                    Some(reason) => taken.push((item, reason)),
                    None => line.items.push_back(item),
                }
            }
        }
        self.lines.retain(|line| !line.items.is_empty());
        taken
    }

    /// Takes the last item out of the longest line, if that is longer than this key's would be with one more.
    pub fn displace(&mut self, key: K) -> Option<T> {
        let own = self.lines.iter().find(|line| line.key == key).map_or(0, |line| line.items.len());
        let longest = self.lines.iter_mut().max_by_key(|line| line.items.len()).filter(|line| line.items.len() > own + 1)?;
        longest.items.pop_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(lines: &[(char, usize)]) -> Fair<char, String> {
        let mut queue = Fair::default();
        for (key, count) in lines {
            (0..*count).for_each(|number| queue.push(*key, format!("{key}{number}")));
        }
        queue
    }

    fn served(queue: &mut Fair<char, String>) -> String {
        std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_are_served_in_turn_and_each_in_order() {
        let mut queue = queue(&[('a', 4), ('b', 1), ('c', 2)]);
        assert_eq!((queue.len(), queue.front().map(String::as_str)), (7, Some("a0")));
        assert_eq!(served(&mut queue), "a0 b0 c0 a1 c1 a2 a3");
        assert!(queue.is_empty() && queue.pop().is_none());
    }

    #[test]
    fn what_is_ahead_is_what_is_served_before() {
        for taken in 0..8 {
            for key in ['a', 'b', 'c', 'd'] {
                let mut queue = queue(&[('a', 5), ('b', 1), ('c', 2)]);
                (0..taken).for_each(|_| drop(queue.pop()));
                let ahead = queue.ahead(key);
                queue.push(key, "new".to_owned());
                let place = served(&mut queue).split(' ').position(|item| item == "new");
                assert_eq!(place, Some(ahead), "{key} after {taken}");
            }
        }
    }

    #[test]
    fn all_are_looked_at_in_the_order_of_service() {
        let mut queue = queue(&[('a', 3), ('b', 1), ('c', 2)]);
        let mut seen = Vec::new();
        let taken = queue.take(|before, item| {
            seen.push(format!("{before}{item}"));
            item.ends_with('0').then_some(before)
        });
        assert_eq!(taken, [("a0".to_owned(), 0), ("b0".to_owned(), 0), ("c0".to_owned(), 0)]);
        assert_eq!(seen.join(" "), "0a0 0b0 0c0 0a1 1c1 2a2");
        assert_eq!(served(&mut queue), "a1 c1 a2");
    }

    #[test]
    fn the_longest_line_makes_room_for_a_shorter_one() {
        let mut queue = queue(&[('a', 3), ('b', 1)]);
        assert_eq!(queue.displace('a'), None, "its own is the longest");
        assert_eq!(queue.displace('b').as_deref(), Some("a2"));
        assert_eq!(queue.displace('b'), None, "it would be as long");
        assert_eq!(queue.displace('c').as_deref(), Some("a1"));
        assert_eq!(served(&mut queue), "a0 b0");
    }
}
