package main

import (
	"errors"
	"slices"
	"time"
)

func quantile(sorted []int64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	slices.Sort(sorted)
	return float64(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]) / 1e9
}

func (e *engine) alive() ([]*conn, error) {
	found := make([]*conn, 0, len(e.conns))
	for _, c := range e.conns {
		if c.broken == nil {
			c.sent = c.sent[:0]
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no connection is open")
	}
	return found, nil
}

func (e *engine) broken() (int, string) {
	count, why := 0, ""
	for _, c := range e.conns {
		if c.broken != nil {
			count, why = count+1, c.broken.Error()
		}
	}
	return count, why
}

// closedLoop keeps one message outstanding on every connection.
func (e *engine) closedLoop(lasts time.Duration, say func(*conn)) (answer, error) {
	conns, err := e.alive()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	end := begun.Add(lasts).UnixNano()
	times := make([]int64, 0, 1<<20)
	outstanding := 0
	e.onAnswer = func(c *conn, offer bool, now int64) {
		if len(c.sent) == 0 {
			return
		}
		times = append(times, now-c.sent[0])
		c.sent = c.sent[:0]
		if now < end {
			c.sent = append(c.sent, now)
			say(c)
		} else {
			outstanding--
		}
	}
	for _, c := range conns {
		c.sent = append(c.sent, time.Now().UnixNano())
		say(c)
		outstanding++
	}
	for outstanding > 0 && time.Now().UnixNano() < end+int64(10*time.Second) {
		if err := e.step(100 * time.Millisecond); err != nil {
			return nil, err
		}
	}
	lost, why := e.broken()
	return answer{"messages": len(times), "seconds": time.Since(begun).Seconds(), "broken": lost, "why": why,
		"unanswered": outstanding, "p50": quantile(times, 0.5), "p99": quantile(times, 0.99)}, nil
}

// openLoop sends at fixed times; an answer's time counts from when its message was due.
func (e *engine) openLoop(rate float64, lasts time.Duration) (answer, error) {
	conns, err := e.alive()
	if err != nil {
		return nil, err
	}
	total := int(rate * lasts.Seconds())
	apart := float64(time.Second) / rate
	times, late := make([]int64, 0, total), make([]int64, 0, total)
	e.onAnswer = func(c *conn, offer bool, now int64) {
		if len(c.sent) == 0 {
			return
		}
		times = append(times, now-c.sent[0])
		c.sent = slices.Delete(c.sent, 0, 1)
	}
	begun := time.Now().UnixNano()
	due := func(i int) int64 { return begun + int64(float64(i)*apart) }
	next := 0
	for next < total || len(times) < total {
		now := time.Now().UnixNano()
		for next < total && due(next) <= now {
			c := conns[next%len(conns)]
			late = append(late, now-due(next))
			c.sent = append(c.sent, due(next))
			c.beat()
			next++
			now = time.Now().UnixNano()
		}
		if next == total && now > due(total)+int64(10*time.Second) {
			break
		}
		wait := 100 * time.Millisecond
		if next < total {
			wait = time.Duration(due(next) - now)
		}
		if err := e.step(wait); err != nil {
			return nil, err
		}
	}
	lost, why := e.broken()
	return answer{"messages": len(times), "unanswered": total - len(times), "broken": lost, "why": why,
		"seconds": float64(time.Now().UnixNano()-begun) / 1e9,
		"p50":     quantile(times, 0.5), "p99": quantile(times, 0.99), "p999": quantile(times, 0.999),
		"most": quantile(times, 1), "late_p50": quantile(late, 0.5), "late_p99": quantile(late, 0.99)}, nil
}

func (e *engine) arm() answer {
	for _, c := range e.conns {
		c.offered = 0
	}
	return answer{}
}

// await reads until every connection was told an offer; times are since 1970, in seconds.
func (e *engine) await(most time.Duration) (answer, error) {
	conns, err := e.alive()
	if err != nil {
		return nil, err
	}
	e.onAnswer = func(*conn, bool, int64) {}
	begun := time.Now()
	told := func() (count int, first, last int64) {
		for _, c := range conns {
			if c.offered == 0 {
				continue
			}
			count++
			if first == 0 || c.offered < first {
				first = c.offered
			}
			last = max(last, c.offered)
		}
		return count, first, last
	}
	for time.Since(begun) < most {
		for range 20 {
			if err := e.step(10 * time.Millisecond); err != nil {
				return nil, err
			}
		}
		if count, _, _ := told(); count == len(conns) {
			break
		}
	}
	count, first, last := told()
	return answer{"told": count, "of": len(conns), "first": float64(first) / 1e9, "last": float64(last) / 1e9}, nil
}
