"""Words of the course that are no key: what each means here, and what to type."""

from __future__ import annotations


def _each(words: str, meaning: str, *commands: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return dict.fromkeys(words.split(), (meaning, commands))


_HEAD = "The last stage, which gives the answer. It is called head in every network, whatever its library calls it, and a new one is made where the classes differ."
_BACKBONE = (
    "All stages before the head: what a network has learned to see, hear or read. A layer table lists them by name."
)
_WORDS = {
    **_each(
        "head fc classifier last_layer final_layer output_layer classification_head new_head linear_layer logits_layer",
        _HEAD,
        "experiments layers model=resnet18",
        "freezing=feature_extraction    the head alone learns",
        "freezing.reset_head=true       it begins anew",
    ),
    **_each(
        "backbone body trunk base_model feature_extractor convolutional_base conv_base",
        _BACKBONE,
        "experiments layers model=resnet18",
        "freezing=feature_extraction    the backbone is frozen",
    ),
    **_each(
        "transfer_learning transfer pretraining pretrained_model pretrained_models",
        "Training that begins with weights of another training: published ones, or those of a run of your own. Without weights=… a network begins with random values.",
        "weights=pretrained             published weights",
        "weights=RUN                    those of an earlier run",
        "experiments explain weights",
        "experiments explain freezing",
    ),
    **_each(
        "fine_tuning finetuning fine_tune finetune full_fine_tuning partial_fine_tuning",
        "Weights of another training learn on, all or the last ones.",
        "weights=pretrained freezing=none          all of them, with a small optimizer.lr",
        "weights=pretrained freezing=last_stage    the last stage and the head",
        "experiments explain freezing",
    ),
    **_each(
        "feature_extraction frozen frozen_layers linear_probe linear_probing trainable_layers unfreeze requires_grad",
        "Frozen stages keep their weights, and the others learn. Feature extraction freezes all but a new head; which stages learn is printed before training.",
        "weights=pretrained freezing=feature_extraction",
        "experiments layers model=resnet18 freezing=feature_extraction",
        "experiments explain freezing",
    ),
    **_each(
        "stage stages layer_names block blocks",
        "A named part of a network, in the order in which they run; the last one is head.",
        "experiments layers model=resnet18",
        "experiments draw model=resnet18",
    ),
    **_each(
        "overfitting overfit regularization regularisation",
        "A network that does better on its training images than on new ones. Less of it: changed copies, dropout, weight decay, an end in time.",
        "data.augment.flip=true    where the data have it",
        "optimizer.weight_decay=0.01",
        "callbacks=early_stopping",
        "experiments list claims overfitting",
    ),
    **_each(
        "feature_map feature_maps filters feature",
        "What one filter of a convolution finds, place by place.",
        "experiments show convolution",
        "experiments show RUN",
    ),
    **_each(
        "inference prediction predictions probabilities",
        "What a trained network says of new examples, with the probability of each class.",
        "experiments predict RUN FILE --top 3",
        "experiments show softmax",
    ),
}  # fmt: skip


def course_word(word: str) -> tuple[str, str, tuple[str, ...]] | None:
    """Return the word as it is looked up, what it means here, and what to type; None where it is none of the course's."""
    name = "_".join(word.lower().replace("-", " ").replace("_", " ").split())
    return (name, *_WORDS[name]) if name in _WORDS else None
