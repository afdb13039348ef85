"""Would the API server and istiod take an object of one kind? One kind, one file."""
