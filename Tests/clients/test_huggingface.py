"""huggingface_hub's InferenceClient, which sends a POST to / for every task."""

import golden
import numpy as np
import pytest
from golden import BY_TEXT, TEXTS, assert_vectors
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError


@pytest.fixture(scope="module", params=["model", "base_url"])
def client(request, server):
    return InferenceClient(**{request.param: server.url})


def test_feature_extraction_of_one_text(client):
    text = "Ünïcödé façade, déjà vu: señor Müller"
    answer = client.feature_extraction(text)
    assert answer.shape == (1, golden.DIM)
    assert_vectors(answer, BY_TEXT[text][None])


def test_feature_extraction_of_many_texts(client):
    assert_vectors(client.feature_extraction(TEXTS), golden.VECTORS)


def test_feature_extraction_with_its_options(client):
    text = "A feline rests upon a rug."
    answer = client.feature_extraction(text, normalize=True, truncate=True, truncation_direction="right", dimensions=32)
    assert_vectors(answer, golden.reduced(BY_TEXT[text][None], 32))


def test_sentence_similarity(client):
    others = ["A feline rests upon a rug.", "Interest rates rose by 0.25 percentage points in June.", ""]
    source = "The cat sits on the mat."
    answer = client.sentence_similarity(source, others)
    expected = [float(BY_TEXT[other].astype("f8") @ BY_TEXT[source].astype("f8")) for other in others]
    assert np.allclose(answer, expected, atol=1e-4)
    assert answer[0] > answer[1]


def test_an_error_says_why(client):
    with pytest.raises(HfHubHTTPError) as caught:
        client.feature_extraction([])
    assert caught.value.response.status_code == 422
    assert "inputs" in caught.value.response.text
