package lardertest

// Deaf makes a server forget to push: the worst that memory coherence could
// meet.
func (s *Server) Deaf() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = true
}

// Careless makes a server accept fills whose lease is gone.
func (s *Server) Careless() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.careless = true
}
